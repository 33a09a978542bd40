"""What a mutant did to the outputs of a model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tvm_mutate.oracle.oracles import ORACLES, Oracle, is_noticed
from tvm_mutate.oracle.outputs import as_float64, output_pair, same_bits, top_labels
from tvm_mutate.oracle.ranking import agreements

RELATIVE_FLOOR = 1e-12
_SHORTLIST = 5


@dataclass(frozen=True)
class Comparison:
    """A mutant's outputs against the golden ones, for all inputs of one model on one device.

    Source of ``dissimilarity`` and ``same_label_for_every_input``: MutateNN (arXiv 2306.01697).
    """

    inputs: int
    bitwise_equal: int  # inputs whose output has the golden bits
    changed_labels: int  # inputs with another top-1 label
    dissimilarity: float  # changed_labels / inputs
    changed_inputs: tuple[int, ...]  # indices of the inputs with another top-1 label
    top_k_overlap: float  # mean share of the min(5, classes) best classes that stayed among them
    accuracy: float | None  # share of inputs labelled rightly; None without right labels
    golden_accuracy: float | None
    max_abs_diff: float | None  # over pairs of finite scores; None without such a pair
    max_rel_diff: float | None  # the same, relative to max(|golden|, RELATIVE_FLOOR)
    nan_count: int  # in the mutant's outputs
    inf_count: int
    kendall_tau: float  # mean over inputs
    rank_biased_overlap: float  # mean over inputs
    same_label_for_every_input: bool  # one label (or none) for all, where golden gives several
    labels: tuple[int, ...]  # the mutant's top-1 labels
    noticed: tuple[tuple[str, tuple[int, ...]], ...]  # text of an oracle, indices of inputs it noticed

    def noticed_by(self, oracle: Oracle) -> tuple[int, ...]:
        """The indices of the inputs that the oracle noticed; ValueError if the oracle was not included."""
        asked = dict(self.noticed)
        if str(oracle) not in asked:
            raise ValueError(f"the comparison did not ask {oracle}; it asked {', '.join(asked) or 'no oracle'}")
        return asked[str(oracle)]

    def to_mapping(self) -> dict[str, Any]:
        """The comparison as JSON holds it: lists for tuples, None for a number that is not finite."""
        mapping = {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        mapping["noticed"] = {name: list(indices) for name, indices in self.noticed}
        return mapping


def compare(
    golden: ArrayLike,
    mutant: ArrayLike,
    labels: ArrayLike | None = None,
    oracles: Iterable[Oracle] | None = None,
) -> Comparison:
    """Compare outputs ``[inputs, classes]`` of any real dtype, with the right labels ``[inputs]`` if known.

    ``oracles`` decide what is noticed; the default is all oracles with their default parameters.
    Numbers are calculated in float64. Raises ValueError unless both outputs have one shape and dtype, and
    ``labels`` one label an input.
    """
    golden_rows, mutant_rows = output_pair(golden, mutant)
    inputs, classes = golden_rows.shape
    right = None if labels is None else np.asarray(labels)
    if right is not None and right.shape != (inputs,):
        raise ValueError(f"labels of shape {list(right.shape)} do not fit {inputs} inputs")
    equal = same_bits(golden_rows, mutant_rows)
    golden_labels, mutant_labels = top_labels(golden_rows), top_labels(mutant_rows)
    changed = np.flatnonzero(golden_labels != mutant_labels)
    golden_scores, mutant_scores = as_float64(golden_rows), as_float64(mutant_rows)
    max_abs_diff, max_rel_diff = _largest_differences(golden_scores, mutant_scores)
    same = int(equal.sum())  # an output with the golden bits agrees in everything
    agreed = agreements(golden_scores[~equal], mutant_scores[~equal], min(_SHORTLIST, classes))
    asked = tuple(kind() for kind in ORACLES.values()) if oracles is None else tuple(oracles)
    return Comparison(
        inputs=inputs,
        bitwise_equal=same,
        changed_labels=changed.size,
        dissimilarity=changed.size / inputs,
        changed_inputs=tuple(changed.tolist()),
        top_k_overlap=(same + math.fsum(agreed.top_k)) / inputs,
        accuracy=None if right is None else _accuracy(mutant_labels, right),
        golden_accuracy=None if right is None else _accuracy(golden_labels, right),
        max_abs_diff=max_abs_diff,
        max_rel_diff=max_rel_diff,
        nan_count=int(np.isnan(mutant_scores).sum()),
        inf_count=int(np.isinf(mutant_scores).sum()),
        kendall_tau=(same + math.fsum(agreed.kendall_tau)) / inputs,
        rank_biased_overlap=(same + math.fsum(agreed.rank_biased_overlap)) / inputs,
        same_label_for_every_input=len(set(mutant_labels)) == 1 < len(set(golden_labels)),
        labels=tuple(mutant_labels.tolist()),
        noticed=tuple((str(oracle), is_noticed(oracle, golden_rows, mutant_rows)) for oracle in asked),
    )


def _accuracy(given: np.ndarray, right: np.ndarray) -> float:
    return float(np.mean((given == right) & (given >= 0)))


def _largest_differences(golden: np.ndarray, mutant: np.ndarray) -> tuple[float | None, float | None]:
    finite = np.isfinite(golden) & np.isfinite(mutant)
    if not finite.any():
        return None, None
    with np.errstate(over="ignore"):
        difference = np.abs(mutant[finite] - golden[finite])
        relative = difference / np.maximum(np.abs(golden[finite]), RELATIVE_FLOOR)
    return float(difference.max()), float(relative.max())


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
