"""The results of a suite, as one value that every report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tvm_mutate.mutant import Catalogue
from tvm_mutate.suite.canaries import Canaries
from tvm_mutate.suite.description import Place
from tvm_mutate.suite.mutants import short
from tvm_mutate.suite.recording import KernelText, Recording
from tvm_mutate.suite.verdicts import MutantVerdict

Row = dict[str, Any]
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SuiteResults:
    """All that was found out about a suite; :meth:`to_mapping` is the content of ``suite.json``.

    ``settings`` is what was asked for; ``effort`` counts runs of tests that were made, and that an earlier session
    had made, the mutants that the budget left out, and seconds.
    """

    settings: Row
    effort: Row
    tests: tuple[Row, ...]
    kernels: tuple[Row, ...]
    mutants: tuple[Row, ...] = ()
    operators_without_site: tuple[str, ...] = ()
    environment: Row = field(default_factory=dict)

    def to_mapping(self) -> Row:
        """The results as what JSON can hold, with the version of their schema."""
        names = ("settings", "environment", "effort", "tests", "kernels", "mutants", "operators_without_site")
        values = {name: getattr(self, name) for name in names}
        return {"schema_version": SCHEMA_VERSION} | {
            name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
        }


def test_row(recording: Recording, canaries: Canaries | None) -> Row:
    """The row of a test."""
    kernels = {each.digest for each in recording.built}
    told = [recording.runs(digest) for digest in kernels]
    return {
        "test": recording.test.name,
        "file": recording.test.file,
        "outcome": str(recording.run.outcome.kind),
        "reason": recording.run.outcome.reason,
        "seconds": round(recording.run.seconds, 3),
        "builds": len({each.build for each in recording.built}),
        "kernels": len(kernels),
        "kernels_executed": None if recording.executed is None else told.count(True),
        "kernels_unknown": told.count(None),
        "obstacle": recording.obstacle,
        "filled_memory": recording.filled,
        "vanished": canaries.vanished if canaries else None,
        "no_op": canaries.no_op if canaries else None,
        "notices": canaries.notices if canaries else None,
        "reliable": canaries.is_reliable if canaries else None,
    }


def kernel_rows(texts: Mapping[str, KernelText], recordings: Sequence[Recording]) -> tuple[Row, ...]:
    """The rows of all kernels of a suite: what they are called, their sites, and which tests build and run them."""
    builders: dict[str, list[Recording]] = {digest: [] for digest in texts}
    for recording in recordings:
        for digest in dict.fromkeys(each.digest for each in recording.built):
            builders[digest].append(recording)
    return tuple(
        {
            "kernel": short(digest),
            "name": text.name,
            "sites": sum(text.sites.values()),
            "variants": len(text.sites),
            "built_by": [each.test.name for each in builders[digest]],
            "run_by": [each.test.name for each in builders[digest] if each.runs(digest)],
        }
        for digest, text in texts.items()
    )


def mutant_row(verdict: MutantVerdict, place: Place, catalogue: Catalogue) -> Row:
    """The row of a mutant."""
    operator = catalogue[verdict.mutation.operator]
    killer = verdict.killer
    return {
        "id": str(verdict.mutation),
        "operator": operator.name,
        "category": str(operator.category),
        "slot": str(operator.slot_of(operator.read_parameters(verdict.mutation))),
        "kernel": verdict.mutation.function,
        "name": place.kernel,
        "verdict": verdict.verdict,
        "kind": killer.kind if killer else None,
        "killer": killer.test if killer else None,
        "reason": verdict.reason or (killer.reason if killer else ""),
        "before": place.before,
        "after": place.after,
        "difference": place.difference,
        "covering": list(verdict.covering),
        "trials": [
            {"test": each.test, "kind": each.kind, "seconds": each.seconds, "applied": each.applied}
            for each in verdict.trials
        ],
        "seconds": round(sum(each.seconds for each in verdict.trials), 3),
    }
