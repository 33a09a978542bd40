"""Comparisons of the results of two campaigns; nothing here runs anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Identity = tuple[str, str, str]

TIMED = frozenset({"build_seconds", "run_seconds", "kernel_seconds", "latency"})
SECTIONS = ("models", "devices", "baselines", "canaries", "absent", "discrepancies")
DEFINED, UNDEFINED, UNKNOWN = "defined", "undefined", "not looked at"
MISSING = "(missing)"


@dataclass(frozen=True)
class Difference:
    """A mutant whose rows differ, in which fields, and whether its behaviour is defined."""

    mutant: str
    fields: tuple[str, ...]
    behaviour: str

    def __str__(self) -> str:
        return f"{self.mutant}: {', '.join(self.fields)} ({self.behaviour})"


@dataclass
class Exactness:
    """What content-addressed evaluation gave beside rebuilding everything; mutants are told by their ids."""

    compared: int = 0
    by_content: int = 0
    fell_to_rebuild: dict[str, int] = field(default_factory=dict)
    different: list[str] = field(default_factory=list)
    undefined: int = 0
    undefined_different: list[str] = field(default_factory=list)
    rebuilt_different: list[str] = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def by_identity(results: Mapping[str, Any]) -> dict[Identity, Row]:
    """The rows of the mutants, by model, device and id."""
    return {(row["model"], row["device"], row["id"]): row for row in results["mutants"]}


def behaviour(*rows: Row) -> str:
    """Whether a mutant's behaviour is defined, as far as any of its rows can tell."""
    named = [row["undefined"] for row in rows if row["undefined"] is not None]
    return UNDEFINED if any(named) else DEFINED if named else UNKNOWN


def timeless(value: Any) -> Any:
    """A value of results without anything that is a time."""
    if isinstance(value, Mapping):
        return {key: timeless(each) for key, each in value.items() if key not in TIMED}
    return [timeless(each) for each in value] if isinstance(value, list | tuple) else value


def row_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """The mutants whose rows differ in anything but times, or that only one of the two results has."""
    return list(_row_differences(by_identity(first), by_identity(second)))


def _row_differences(left: Mapping[Identity, Row], right: Mapping[Identity, Row]) -> Iterator[Difference]:
    for identity in sorted({*left, *right}):
        rows = [timeless(side[identity]) for side in (left, right) if identity in side]
        if len(rows) == 1:
            yield Difference(identity[2], (MISSING,), behaviour(*rows))
        elif fields := tuple(sorted(key for key in {*rows[0], *rows[1]} if rows[0].get(key) != rows[1].get(key))):
            yield Difference(identity[2], fields, behaviour(*rows))


def section_differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The other sections of the results that differ in anything but times."""
    return [name for name in SECTIONS if timeless(first[name]) != timeless(second[name])]


def exactness(fast: Mapping[str, Any], rebuilt: Mapping[str, Any]) -> Exactness:
    """The outputs of each mutant evaluated by content beside those of its full rebuild, bit by bit."""
    found = Exactness()
    left, right = by_identity(fast), by_identity(rebuilt)
    found.missing = [identity[2] for identity in sorted({*left} ^ {*right})]
    for identity in sorted({*left} & {*right}):
        _compare(found, left[identity], right[identity])
    return found


def _compare(found: Exactness, fast: Row, rebuilt: Row) -> None:
    mutant, kind = fast["id"], behaviour(fast)
    for name, differing in (("verdict", found.verdicts), ("outcome", found.outcomes)):
        if fast[name] != rebuilt[name]:
            differing.append(f"{mutant}: {fast[name]} -> {rebuilt[name]} ({kind})")
    by_content = fast["evaluation"] == "content"
    found.by_content += by_content
    if not by_content:
        reason = without_numbers(fast["evaluation_reason"] or f"no reason: {fast['outcome']}")
        found.fell_to_rebuild[reason] = found.fell_to_rebuild.get(reason, 0) + 1
    if fast["outcome"] != "completed" or rebuilt["outcome"] != "completed":
        return
    differ = fast["outputs_digest"] != rebuilt["outputs_digest"]
    if not by_content:
        found.rebuilt_different += [mutant] * differ
        return
    found.compared += 1
    found.undefined += kind == UNDEFINED
    (found.undefined_different if kind == UNDEFINED else found.different).extend([mutant] * differ)


def without_numbers(reason: str) -> str:
    """A reason with its numbers left out, so that equal ones can be counted."""
    return re.sub(r"\d+", "N", reason)
