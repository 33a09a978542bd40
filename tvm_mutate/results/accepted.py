"""The survivors that a user has reviewed and accepts, in a text file that later campaigns read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tvm_mutate.documents import read_document
from tvm_mutate.errors import UsageError
from tvm_mutate.oracle import Verdict
from tvm_mutate.results.files import write_whole
from tvm_mutate.results.rows import MutantRow, Results

ACCEPTED_FILE = ".tvm-mutate-accepted.toml"
_HEAD = "# Survivors that somebody has reviewed: `tvm-mutate accept` adds them, campaigns report them apart.\n"


@dataclass(frozen=True)
class Acceptance:
    """An accepted survivor of a model, on every device.

    ``place_digest`` is that of the functions which were reviewed: the acceptance does not hold for others.
    """

    id: str
    model: str
    reason: str
    place_digest: str | None = None

    def holds_for(self, row: MutantRow) -> bool:
        """Whether the row is this mutant, in the functions that were reviewed."""
        same = (row.id, row.model) == (self.id, self.model)
        return same and self.place_digest in (None, row.place_digest)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    accepted: tuple[Acceptance, ...] = ()


def read_accepted(path: Path) -> tuple[Acceptance, ...]:
    """The entries of the file; raises UsageError if it cannot be read or holds anything else."""
    try:
        return msgspec.convert(read_document(path), _File).accepted
    except msgspec.ValidationError as error:
        raise UsageError(f"{path} is no list of accepted mutants: {error}") from None


def accept(results: Results, ids: Iterable[str], reason: str, path: Path) -> list[Acceptance]:
    """Adds survivors of the results to the file, which is made if it is missing; returns all of its entries.

    An entry for the same mutant of the same model is replaced. Raises UsageError for an id that is no survivor.
    """
    entries = {(each.id, each.model): each for each in (read_accepted(path) if path.exists() else ())}
    for name in ids:
        found = [row for row in results.mutants if row.id == name and row.verdict is Verdict.SURVIVED]
        if not found:
            verdicts = {str(row.verdict or row.outcome) for row in results.mutants if row.id == name}
            why = f"it is {', '.join(sorted(verdicts))}" if verdicts else "these results do not have it"
            raise UsageError(f"mutant {name} is no survivor: {why}")
        for row in found:
            entries[row.id, row.model] = Acceptance(row.id, row.model, reason, row.place_digest)
    kept = [entries[key] for key in sorted(entries)]
    write_whole(path, [_HEAD, *map(_table, kept)])
    return kept


def with_accepted(results: Results, entries: Iterable[Acceptance]) -> tuple[Results, list[Acceptance]]:
    """The results with the accepted survivors marked, and the entries that hold no more.

    An entry holds no more if its function has changed or the mutant is killed; one without a mutant here may hold.
    """
    entries = list(entries)

    def marked(row: MutantRow) -> MutantRow:
        reasons = [each.reason for each in entries if row.verdict is Verdict.SURVIVED and each.holds_for(row)]
        return msgspec.structs.replace(row, accepted=reasons[0]) if reasons else row

    mutants = tuple(map(marked, results.mutants))
    there = {(row.id, row.model) for row in mutants}
    held = {(row.id, row.model) for row in mutants if row.accepted is not None}
    over = [each for each in entries if (each.id, each.model) in there - held]
    return msgspec.structs.replace(results, mutants=mutants), over


def _table(entry: Acceptance) -> str:
    lines = [f"{name} = {_string(value)}\n" for name, value in vars(entry).items() if value is not None]
    return "".join(["\n[[accepted]]\n", *lines])


def _string(text: str) -> str:
    """The text as a basic string of TOML, which JSON's strings are, except for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
