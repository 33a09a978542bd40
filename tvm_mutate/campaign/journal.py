"""The journal of a campaign: an SQLite file from which the campaign resumes, and a later campaign reuses verdicts."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

from tvm_mutate.campaign.plan import Plan, Subject
from tvm_mutate.campaign.survey import Survey
from tvm_mutate.device import Device, held_folder
from tvm_mutate.errors import UsageError
from tvm_mutate.oracle import Verdict, parse_oracle
from tvm_mutate.results import JournalFile, MutantRow, UndefinedRow
from tvm_mutate.results.journal import why
from tvm_mutate.samples import Samples

FILE_NAME = "journal.sqlite"
# A new campaign evaluates survivors again, because the user works on survivors, and mutants without a verdict.
_REUSED_VERDICTS = (Verdict.KILLED, Verdict.EQUIVALENT)
_JUDGED_BY = ("oracles", "until", "precision")
_TABLES = {
    "campaign": "digest TEXT NOT NULL, plan TEXT NOT NULL",
    "planned": "model TEXT NOT NULL, device TEXT NOT NULL, mutants TEXT NOT NULL, PRIMARY KEY (model, device)",
    "outcome": "model TEXT NOT NULL, device TEXT NOT NULL, mutant TEXT NOT NULL, row TEXT NOT NULL, "
    "PRIMARY KEY (model, device, mutant)",
    "outputs": "digest TEXT PRIMARY KEY, content BLOB NOT NULL",
    "examined": "model TEXT NOT NULL, mutant TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (model, mutant)",
}


class Journal(JournalFile):
    """The journal of a campaign in an output folder: the plan, written first, and every row as soon as it exists.

    ``plan`` holds JSON values; ``digest`` tells campaigns apart. ``row_type`` is the type of the rows. Raises
    UsageError as a JournalFile does, and if the folder holds another campaign.
    """

    def __init__(self, folder: Path, digest: str, plan: dict[str, Any], row_type: type[Any] = MutantRow) -> None:
        super().__init__(folder, FILE_NAME, _TABLES, "name another with --output", own_folder=True)
        self._row_type = row_type
        found = self.read("SELECT digest FROM campaign")
        if not found:
            self.write("INSERT INTO campaign VALUES (?, ?)", digest, json.dumps(plan))
        elif found[0][0] != digest:
            self.close()
            raise UsageError(
                f"output folder {folder} holds another campaign (other models, inputs, mutants, devices or versions); "
                "name another with --output"
            )

    def add_planned(self, model: str, device: str, mutants: Sequence[str]) -> None:
        """Writes the mutants of a pair, in order, before the evaluation of the first.

        Raises UsageError if the journal has other mutants for the pair, so that rows of two campaigns never mix.
        """
        found = self.read("SELECT mutants FROM planned WHERE model = ? AND device = ?", model, device)
        if not found:
            self.write("INSERT INTO planned VALUES (?, ?, ?)", model, device, json.dumps(list(mutants)))
            return
        before = json.loads(found[0][0])
        if before != list(mutants):
            pairs = zip_longest(before, mutants, fillvalue="nothing")
            number, (old, new) = next((number, pair) for number, pair in enumerate(pairs) if pair[0] != pair[1])
            raise UsageError(
                f"output folder {self.folder} was planned with other mutants of {model} on {device} (number {number} "
                f"was {old}, and is {new} now): has an operator changed since? name another folder with --output"
            )

    def add(self, row: Any) -> None:
        """Writes the row of one mutant on one device; the row survives any end of this process."""
        text = msgspec.json.encode(row).decode()
        self.write("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?)", row.model, row.device, row.id, text)

    def rows(self) -> list[Any]:
        """All rows written so far; raises UsageError for rows of another version."""
        try:
            return [msgspec.json.decode(row, type=self._row_type) for (row,) in self.read("SELECT row FROM outcome")]
        except msgspec.MsgspecError as error:
            raise UsageError(
                f"output folder {self.folder} holds rows of another version of tvm_mutate ({error}); "
                "name another with --output"
            ) from None

    def add_outputs(self, digest: str, outputs: Samples) -> None:
        """Stores the outputs of a mutant under the digest in its row, to compare devices."""
        self.write("INSERT OR IGNORE INTO outputs VALUES (?, ?)", digest, outputs.pack())

    def outputs(self, digest: str) -> Samples | None:
        """The outputs under a digest, or None."""
        found = self.read("SELECT content FROM outputs WHERE digest = ?", digest)
        return Samples.unpack(found[0][0]) if found else None

    def add_examined(self, row: UndefinedRow) -> None:
        """Writes the row of the accesses of one mutant."""
        text = msgspec.json.encode(row).decode()
        self.write("INSERT OR REPLACE INTO examined VALUES (?, ?, ?)", row.model, row.id, text)

    def examined(self) -> dict[tuple[str, str], UndefinedRow]:
        """All rows of accesses so far, by model and mutant."""
        found = self.read("SELECT model, mutant, row FROM examined")
        return {(model, mutant): msgspec.json.decode(row, type=UndefinedRow) for model, mutant, row in found}

    def discard_unused(self) -> None:
        """Discards a new journal without rows, so that a corrected command can use the folder."""
        if self.read("SELECT count(*) FROM outcome") == [(0,)]:
            self.discard()


def read_journal(folder: Path) -> tuple[dict[str, Any], list[MutantRow]]:
    """The plan and the rows of the campaign in an output folder; raises UsageError if they cannot be read.

    Reads a copy, because SQLite would write beside the file that it reads.
    """
    try:
        with held_folder("journal") as copy:
            for name in (FILE_NAME, f"{FILE_NAME}-wal"):
                if name == FILE_NAME or (folder / name).exists():
                    shutil.copyfile(folder / name, copy / name)
            with contextlib.closing(sqlite3.connect(copy / FILE_NAME)) as connection:
                (plan,) = connection.execute("SELECT plan FROM campaign").fetchone()
                found = connection.execute("SELECT row FROM outcome ORDER BY rowid")
                rows = [msgspec.json.decode(row, type=MutantRow) for (row,) in found]
        mapping = json.loads(plan)
        if not mapping.keys() >= {"subjects", "devices", "specification", "versions"}:
            raise ValueError("it has no whole plan")
    except (OSError, sqlite3.Error, ValueError, TypeError, AttributeError, msgspec.MsgspecError) as error:
        raise UsageError(f"{folder} holds no journal of a campaign that can be read ({why(error)})") from None
    return mapping, rows


class EarlierCampaign:
    """The verdicts of an earlier campaign, from the journal in its output folder; raises UsageError.

    ``obstacle`` says why the campaign of ``plan`` can reuse none of them; it is empty otherwise.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        earlier, rows = read_journal(folder)
        self.obstacle = _obstacle(earlier, plan)
        self._inputs = {subject["name"]: subject["inputs_digest"] for subject in earlier["subjects"]}
        self._compiled = {name: tuple(rest) for name, *rest in earlier["devices"]}
        self._rows: dict[tuple[str, tuple[str, ...]], list[MutantRow]] = defaultdict(list)
        for row in rows:
            if row.verdict in _REUSED_VERDICTS and row.place_digest:
                self._rows[row.model, self._compiled[row.device]].append(row)

    def reusable(self, subject: Subject, device: Device, survey: Survey) -> dict[str, MutantRow]:
        """The rows, by mutant id and marked as carried over, that still hold for the subject on the device.

        A row holds if inputs and device are equal except for the device's name, and if the functions that the mutant
        changes are structurally equal.
        """
        if self.obstacle or self._inputs.get(subject.name) != subject.inputs_digest:
            return {}
        return {
            row.id: msgspec.structs.replace(row, device=device.name, carried=True)
            for row in self._rows[subject.name, device.identity()[1:]]
            if survey.places.get(row.id) == row.place_digest
        }


def _obstacle(earlier: dict[str, Any], plan: Plan) -> str:
    for name in sorted({*plan.versions, *earlier["versions"]}):
        before, now = earlier["versions"].get(name), plan.versions.get(name)
        if before != now:
            return f"it had {name} {before}, and this is {now}"
    specification = plan.mapping()["specification"]
    for name in _JUDGED_BY:
        before, now = (_canonical(name, each.get(name)) for each in (earlier["specification"], specification))
        if before != now:
            return f"it had --{name.removesuffix('s')} {before}, and this has {now}"
    return ""


def _canonical(name: str, value: Any) -> Any:
    if name != "oracles":
        return value
    return ", ".join(str(parse_oracle(text)) for text in value or ()) or "(default)"
