"""The plan of a campaign: subjects (models with inputs), which mutants, which shard of them, and how much memory."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tvm_mutate.device import machine_memory
from tvm_mutate.errors import UsageError
from tvm_mutate.model import (
    Model,
    Preprocessing,
    RandomInputs,
    bindings,
    load_inputs,
    load_model,
    parse_preprocessing,
)
from tvm_mutate.oracle import parse_oracle
from tvm_mutate.results import ModelRow
from tvm_mutate.samples import Samples
from tvm_mutate.scenario import Scenario

SAMPLE = "sample:"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# A worker with TVM, a lowered model, its compiled kernels and a child that evaluates a mutant.
WORKER_BYTES = 640 << 20
# The process that runs the campaign, with TVM and all inputs.
CAMPAIGN_BYTES = 512 << 20
_LEAST_GOLDEN_BYTES = 64 << 20


@dataclass(frozen=True)
class Subject:
    """A model with its inputs, as a worker in another process can load them.

    ``inputs`` is the folder of the samples of its inputs; ``labels`` has one class index per input, or is None.
    ``calls`` are the functions that one sample calls, in order. ``scenario`` takes the place of the model's own.
    """

    name: str
    reference: str
    model_digest: str
    inputs: str
    inputs_digest: str
    input_count: int
    labels: tuple[int, ...] | None = None
    shape: tuple[tuple[str, tuple[int, ...]], ...] = ()
    calls: tuple[str, ...] = ()
    scenario: Scenario | None = None
    inputs_source: str = ""
    simplified: str = ""

    def load(self) -> Model:
        """The model with its scenario."""
        return load_model(self.reference, shape=dict(self.shape) or None, scenario=self.scenario)

    def samples(self) -> Samples:
        """The samples of the inputs, mapped into memory."""
        return Samples.load(self.inputs)

    def row(self) -> ModelRow:
        """The row of the model in the results."""
        return ModelRow(**{name: getattr(self, name) for name in ModelRow.__struct_fields__})

    def identity(self) -> dict[str, Any]:
        """The fields that decide the outcomes: all but the paths."""
        identity = asdict(self)
        del identity["inputs"], identity["reference"], identity["inputs_source"]
        return identity


@dataclass(frozen=True)
class Specification:
    """Which mutants a campaign takes, and what counts as noticed.

    ``mutants`` are ids to take as they are. Without ids the campaign takes every variant of the named operators, in the
    named ``slots`` (empty: each operator's default slot), at ``sites``: ``all`` at once, ``each``, ``first``, or
    ``sample:N`` single sites per model. An ``order`` above 1 makes N mutants of that many single sites each. The
    campaign takes the ``shard`` k of n. ``rebuild`` builds and runs the whole model for every mutant; without
    ``fast_kernels`` kernels run in their own schedules only. The run of a mutant over the inputs stops early once the
    oracle noticed an input if ``until`` is ``killed``, and once the 95 % interval of the dissimilarity is narrower than
    ``precision``. The first of ``oracles`` gives the verdict; without oracles the unmutated outputs decide.
    """

    operators: tuple[str, ...] = ("default",)
    mutants: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    sites: str = "all"
    order: int = 1
    seed: int = 0
    oracles: tuple[str, ...] = ()
    all_variants: bool = False
    rebuild: bool = False
    shard: tuple[int, int] = (1, 1)
    until: str = ""
    precision: float | None = None
    fast_kernels: bool = True

    def check(self) -> None:
        """Raises UsageError for a value that no campaign supports."""
        check_sites(self.sites)
        check_order(self.order, self.sites)
        for oracle in self.oracles:
            parse_oracle(oracle)
        number, count = self.shard
        if not 1 <= number <= count:
            raise UsageError(f"there is no shard {number} of {count}; write k and n with k from 1 to n")
        if self.until not in ("", "killed"):
            raise UsageError(f"until {self.until!r} is not known; write 'killed' or nothing")
        if self.precision is not None and not 0 < self.precision < 1:
            raise UsageError(f"precision {self.precision} is no width of an interval between 0 and 1")


@dataclass(frozen=True)
class Pair:
    """The names of a subject and a device; every build of a campaign belongs to one pair."""

    subject: str
    device: str


@dataclass(frozen=True)
class Plan:
    """The request of a user for a campaign, before any model is loaded.

    ``devices`` holds, for each device, its name, its target and everything else that decides outcomes.
    """

    subjects: tuple[Subject, ...]
    devices: tuple[tuple[str, ...], ...]
    specification: Specification
    versions: dict[str, str]

    def mapping(self) -> dict[str, Any]:
        """The plan as JSON values; equal campaigns have equal mappings on every machine."""
        return {
            "subjects": [subject.identity() for subject in self.subjects],
            "devices": self.devices,
            "specification": asdict(self.specification),
            "versions": self.versions,
        }

    def digest(self) -> str:
        """SHA-256 of the plan."""
        return hashlib.sha256(json.dumps(self.mapping(), sort_keys=True).encode()).hexdigest()


def prepare_subjects(
    reference: str,
    inputs: str | Path | Mapping[str, str | Path] | None,
    folder: Path,
    *,
    labels: str | Path | None = None,
    limit: int | None = None,
    shape: Mapping[str, Sequence[int]] | None = None,
    recipe: str | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    scenario: Scenario | None = None,
    random: RandomInputs | None = None,
) -> list[Subject]:
    """The subjects of a model reference and its inputs: one for each combination of the numbers of symbols.

    ``load_inputs`` says what ``inputs`` and ``random`` are; the samples are written into ``folder``. ``recipe`` names a
    preprocessing that replaces the model's own; ``preprocessing`` has keys that differ.
    Raises UsageError for a model or inputs that cannot be used.
    """
    chosen = parse_preprocessing(recipe) if recipe else None
    model = load_model(reference, shape=shape, preprocessing=chosen, scenario=scenario)
    if preprocessing:
        mapping = {**model.preprocessing.to_mapping(), **preprocessing}
        model = replace(model, preprocessing=Preprocessing.from_mapping(mapping, where="options"))
    subjects = []
    for sizes in bindings(model.inputs, shape or {}):
        loaded = load_inputs(inputs, model, limit=limit, labels=labels, random=random, sizes=sizes)
        name = "-".join([model.name, *(f"{symbol}{size}" for symbol, size in sizes.items())])
        name = re.sub(r"[^\w.-]+", "-", name)
        path = folder / f"inputs-{name}"
        loaded.samples.save(path)
        subjects.append(
            Subject(
                name=name,
                reference=reference,
                model_digest=model.digest,
                inputs=str(path),
                inputs_digest=loaded.digest,
                input_count=len(loaded),
                labels=None if loaded.labels is None else tuple(int(label) for label in loaded.labels),
                shape=tuple((key, tuple(value)) for key, value in (shape or {}).items()),
                calls=tuple(call.function for call in model.scenario.calls),
                scenario=scenario,
                inputs_source=loaded.source,
                simplified=model.simplified,
            )
        )
    return subjects


def prepare_subject(
    reference: str, inputs: str | Path | Mapping[str, str | Path] | None, folder: Path, **options: Any
) -> Subject:
    """The only subject that ``prepare_subjects`` makes; raises UsageError if symbols have several numbers."""
    subjects = prepare_subjects(reference, inputs, folder, **options)
    if len(subjects) > 1:
        raise UsageError("--shape gives a symbol several numbers, and this command takes one; give one")
    return subjects[0]


def check_sites(sites: str) -> str:
    """``sites`` if it is one of ``all``, ``each``, ``first``, ``sample:N``; raises UsageError otherwise."""
    if sites in ("all", "each", "first") or re.fullmatch(r"sample:[1-9]\d*", sites):
        return sites
    raise UsageError(f"--sites {sites!r} is not known; write all, each, first or sample:N with N at least 1")


def check_order(order: int, sites: str) -> None:
    """Raises UsageError for an order below 1, and for an order above 1 without a sample."""
    if order < 1:
        raise UsageError(f"order {order} is no number of mutations; write 1 or more")
    if order > 1 and not sites.startswith(SAMPLE):
        raise UsageError(f"order {order} needs a sample: write how many mutants are to be drawn, such as --sample 100")


def parse_shard(text: str) -> tuple[int, int]:
    """The shard ``k/n``, with k from 1 to n; raises UsageError for anything else."""
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(f"--shard {text!r} is not a shard; write k/n with k from 1 to n, such as 2/8")
    return number, count


def parse_size(text: str) -> int:
    """A number of bytes written as ``800M`` or ``1.5G`` (units K, M, G, T, powers of 1024); raises UsageError."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise UsageError(f"--memory {text!r} is not a size; write one such as 800M or 4G")
    return size


def format_size(size: int) -> str:
    """A number of bytes in whole G if possible, else in M, rounded up."""
    return f"{size >> 30}G" if size % (1 << 30) == 0 else f"{-(-size >> 20)}M"


def golden_bytes(memory: int | None, workers: int) -> int:
    """The bytes that a campaign with ``memory`` bytes has for golden values: the rest that its processes leave.

    By default a campaign takes a quarter of the machine's memory, and at least half of the quarter is for golden
    values. Raises UsageError if ``memory`` is too small, and for more workers than the machine has memory for.
    """
    reserve = CAMPAIGN_BYTES + workers * WORKER_BYTES
    if memory is None:
        most = max((machine_memory() - CAMPAIGN_BYTES) // WORKER_BYTES, 1)
        if workers > most:
            raise UsageError(f"--workers {workers}: this machine has memory for {most}; write at most that")
        quarter = machine_memory() // 4
        return max(quarter - reserve, quarter // 2)
    if memory < reserve + _LEAST_GOLDEN_BYTES:
        counted = "1 worker needs" if workers == 1 else f"{workers} workers need"
        raise UsageError(
            f"--memory {format_size(memory)} is too small: {counted} {format_size(reserve)} with the campaign itself, "
            f"golden values the rest; give at least {format_size(reserve + _LEAST_GOLDEN_BYTES)}, or fewer --workers"
        )
    return memory - reserve
