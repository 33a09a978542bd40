"""What each oracle of a campaign notices, and what only one of them notices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tvm_mutate.oracle import Outcome, Verdict
from tvm_mutate.results import MutantRow, Score


@dataclass(frozen=True)
class OracleTally:
    """The mutants that an oracle notices of those that were killed or survived, and those that no other notices.

    Every oracle notices a crash, a timeout and an exception.
    """

    oracle: str
    score: Score
    only: int


def by_oracle(rows: Iterable[MutantRow]) -> list[OracleTally]:
    """A tally for each oracle, in the order of the campaign; faults of the compiler itself are in none."""
    judged = [row for row in rows if row.verdict in (Verdict.KILLED, Verdict.SURVIVED) and not row.is_compiler_fault]
    asked: defaultdict[str, dict[str, None]] = defaultdict(dict)  # by model; the default oracles depend on the model
    for row in judged:
        asked[row.model].update(dict.fromkeys(each.oracle for each in row.noticed))
    noticed, decided, only = (dict.fromkeys((name for each in asked.values() for name in each), 0) for _ in range(3))
    for row in judged:
        ended_badly = row.outcome is not Outcome.COMPLETED
        found = [*asked[row.model]] if ended_badly else [each.oracle for each in row.noticed if each.inputs]
        for name in asked[row.model]:
            decided[name] += 1
            noticed[name] += name in found
            only[name] += found == [name]
    return [OracleTally(name, Score(noticed[name], decided[name]), only[name]) for name in decided]
