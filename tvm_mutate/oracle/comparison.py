"""What a mutant did to the outputs of a program."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tvm_mutate.oracle.oracle import Oracle
from tvm_mutate.oracle.oracles import Examined, examine_all
from tvm_mutate.oracle.outputs import as_float64, classifier_scores, top_labels
from tvm_mutate.oracle.ranking import agreements
from tvm_mutate.samples import Samples, as_samples, same_bits

RELATIVE_FLOOR = 1e-12
_SHORTLIST = 5


@dataclass(frozen=True)
class Comparison:
    """A mutant's outputs against the golden ones, for all samples of one program on one device.

    The fields after ``inf_count`` are None for a program that is no classifier. A classifier with a batch above 1 has
    that many inputs in a sample.
    Source of ``dissimilarity`` and ``same_label_for_every_input``: MutateNN (arXiv 2306.01697).
    """

    inputs: int  # samples
    bitwise_equal: int  # samples whose outputs have the golden bits
    has_golden_shapes: bool  # whether all outputs have the golden shapes and dtypes
    noticed: tuple[Examined, ...]  # what each oracle found
    max_abs_diff: float | None  # over pairs of finite numbers; None without such a pair
    max_rel_diff: float | None  # the same, relative to max(|golden|, RELATIVE_FLOOR)
    nan_count: int  # in the mutant's outputs
    inf_count: int
    changed_labels: int | None = None  # inputs with another top-1 label
    dissimilarity: float | None = None  # changed_labels / inputs
    changed_inputs: tuple[int, ...] | None = None  # indices of the inputs with another top-1 label
    top_k_overlap: float | None = None  # mean share of the min(5, classes) best classes that stayed among them
    accuracy: float | None = None  # share of inputs labelled rightly; None without right labels
    golden_accuracy: float | None = None
    kendall_tau: float | None = None  # mean over inputs
    rank_biased_overlap: float | None = None  # mean over inputs
    same_label_for_every_input: bool | None = None  # one label (or none) for all, where golden gives several
    labels: tuple[int, ...] | None = None  # the mutant's top-1 labels

    def noticed_by(self, oracle: Oracle) -> tuple[int, ...]:
        """The positions of the samples that the oracle noticed; ValueError if the oracle was not asked."""
        asked = {each.oracle: each.noticed for each in self.noticed}
        if str(oracle) not in asked:
            raise ValueError(f"the comparison did not ask {oracle}; it asked {', '.join(asked) or 'no oracle'}")
        return asked[str(oracle)]

    def to_mapping(self) -> dict[str, Any]:
        """The comparison as JSON holds it: lists for tuples, None for a number that is not finite."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)}


def compare(
    golden: Samples | ArrayLike,
    mutant: Samples | ArrayLike,
    labels: ArrayLike | None = None,
    oracles: Iterable[Oracle] = (),
) -> Comparison:
    """Compares the outputs of a program, of any real dtypes, with the right labels, one a sample or input, if known.

    An array stands for the samples of a program with one output. Numbers are calculated in float64. Raises ValueError
    for different numbers of samples or outputs, and unless ``labels`` has one label a sample or input.
    """
    first, second = (each if isinstance(each, Samples) else as_samples(np.asarray(each)) for each in (golden, mutant))
    if len(first) != len(second) or len(first.arrays) != len(second.arrays) or not len(first):
        what = f"the golden outputs are {_told(first)} and the mutant's {_told(second)}"
        raise ValueError(f"{what}; they must be as many, and not empty")
    pairs = list(zip(first.arrays, second.arrays, strict=True))
    has_golden_shapes = first.has_types_of(second)
    equal = np.zeros(len(first), bool)
    differences: list[tuple[float, float]] = []
    if has_golden_shapes:
        equal = np.logical_and.reduce([same_bits(*pair) for pair in pairs])
        differences = [found for pair in pairs if (found := _largest_differences(*pair)) is not None]
    with np.errstate(invalid="ignore"):
        nan_count, inf_count = (
            sum(int(is_such(as_float64(array)).sum()) for array in second.arrays) for is_such in (np.isnan, np.isinf)
        )
    return Comparison(
        inputs=len(first),
        bitwise_equal=int(equal.sum()),
        has_golden_shapes=has_golden_shapes,
        noticed=tuple(examine_all(oracle, first, second) for oracle in oracles),
        max_abs_diff=max((each for each, _ in differences), default=None),
        max_rel_diff=max((each for _, each in differences), default=None),
        nan_count=nan_count,
        inf_count=inf_count,
        **(_of_labels(first, second, labels) if has_golden_shapes else {}),
    )


def _of_labels(golden: Samples, mutant: Samples, labels: ArrayLike | None) -> dict[str, Any]:
    """The fields of a classifier; empty for another program."""
    first, second = classifier_scores(golden), classifier_scores(mutant)
    if first is None or second is None:
        return {}
    inputs, classes = first.shape
    right = None if labels is None else np.asarray(labels)
    if right is not None and right.shape not in ((inputs,), (len(golden),)):
        raise ValueError(f"labels of shape {list(right.shape)} do not fit {inputs} inputs")
    right = None if right is None else np.repeat(right, inputs // right.size)
    golden_labels, mutant_labels = top_labels(first), top_labels(second)
    changed = np.flatnonzero(golden_labels != mutant_labels)
    equal = same_bits(first, second)
    same = int(equal.sum())  # scores with the golden bits agree in everything
    agreed = agreements(as_float64(first)[~equal], as_float64(second)[~equal], min(_SHORTLIST, classes))
    return {
        "changed_labels": changed.size,
        "dissimilarity": changed.size / inputs,
        "changed_inputs": tuple(changed.tolist()),
        "top_k_overlap": (same + math.fsum(agreed.top_k)) / inputs,
        "accuracy": None if right is None else _accuracy(mutant_labels, right),
        "golden_accuracy": None if right is None else _accuracy(golden_labels, right),
        "kendall_tau": (same + math.fsum(agreed.kendall_tau)) / inputs,
        "rank_biased_overlap": (same + math.fsum(agreed.rank_biased_overlap)) / inputs,
        "same_label_for_every_input": len(set(mutant_labels)) == 1 < len(set(golden_labels)),
        "labels": tuple(mutant_labels.tolist()),
    }


def _told(samples: Samples) -> str:
    return ", ".join(f"{array.dtype}{list(array.shape)}" for array in samples.arrays)


def _accuracy(given: np.ndarray, right: np.ndarray) -> float:
    return float(np.mean((given == right) & (given >= 0)))


def _largest_differences(first: np.ndarray, second: np.ndarray) -> tuple[float, float] | None:
    """The largest absolute and relative difference of two arrays; None without a pair of finite numbers."""
    golden, mutant = as_float64(first), as_float64(second)
    finite = np.isfinite(golden) & np.isfinite(mutant)
    if not finite.any():
        return None
    with np.errstate(over="ignore"):
        difference = np.abs(mutant[finite] - golden[finite])
        relative = difference / np.maximum(np.abs(golden[finite]), RELATIVE_FLOOR)
    return float(difference.max()), float(relative.max())


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
