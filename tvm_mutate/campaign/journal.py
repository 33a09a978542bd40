"""The journal of a campaign: an SQLite file with the plan, written first, and outcomes as they come; it resumes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from tvm_mutate.device import held_folder
from tvm_mutate.errors import CampaignInterruptedError, UsageError

FILE_NAME = "journal.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS campaign (digest TEXT NOT NULL, plan TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS planned (
  model TEXT NOT NULL, device TEXT NOT NULL, mutants TEXT NOT NULL, PRIMARY KEY (model, device)
);
CREATE TABLE IF NOT EXISTS outcome (
  model TEXT NOT NULL, device TEXT NOT NULL, mutant TEXT NOT NULL, row TEXT NOT NULL,
  PRIMARY KEY (model, device, mutant)
);
CREATE TABLE IF NOT EXISTS scores (digest TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS examined (
  model TEXT NOT NULL, mutant TEXT NOT NULL, row TEXT NOT NULL, PRIMARY KEY (model, mutant)
);
"""


class Journal:
    """The journal in an output folder; one process writes it at a time.

    ``plan`` is what the campaign was asked to do, as JSON can hold it, and ``digest`` tells campaigns apart.
    Raises UsageError where the folder cannot be written, holds another campaign, or is in use by another process.
    """

    def __init__(self, folder: Path, digest: str, plan: dict[str, Any]) -> None:
        self.folder = folder
        try:
            self._made_folder = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            self._check_writable(folder)
            self._check_ours(folder)
            self._connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None, timeout=0)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # What is committed survives the end of this process in any way: it is in the file's pages in memory. Only
            # when the machine itself stops may the last rows be lost, and these are evaluated again; the file stays
            # whole. FULL would wait for the disk at every row.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
        except (OSError, sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise UsageError(
                f"output folder {folder} cannot be used ({_why(error)}); name another with --output"
            ) from None
        for statement in _SCHEMA.split(";"):
            self._connection.execute(statement)
        self._claim(folder, digest, plan)
        self._connection.execute("COMMIT")

    def _claim(self, folder: Path, digest: str, plan: dict[str, Any]) -> None:
        found = self._connection.execute("SELECT digest FROM campaign").fetchone()
        self._new = found is None
        if found is None:
            self._connection.execute("INSERT INTO campaign VALUES (?, ?)", (digest, json.dumps(plan)))
        elif found[0] != digest:
            self._connection.close()
            raise UsageError(
                f"output folder {folder} holds another campaign (other models, inputs, mutants, devices or versions); "
                "name another with --output"
            )

    @staticmethod
    def _check_writable(folder: Path) -> None:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "permission denied")

    @staticmethod
    def _check_ours(folder: Path) -> None:
        """Refuses, before anything is written, a folder with files but no journal, or with another's database."""
        if not (folder / FILE_NAME).exists():
            foreign = sorted(path.name for path in folder.iterdir() if not path.name.startswith(FILE_NAME))
            if foreign:
                raise UsageError(
                    f"output folder {folder} already holds {foreign[0]!r} and no journal; name an empty folder"
                )
            return
        with contextlib.closing(sqlite3.connect(folder / FILE_NAME, timeout=0)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and not tables >= {"campaign", "outcome"}:
            raise UsageError(f"output folder {folder} holds a {FILE_NAME} of another program; name an empty folder")

    def add_planned(self, model: str, device: str, mutants: Sequence[str]) -> None:
        """Writes which mutants a pair has, in order, before the first of them is evaluated.

        Raises UsageError where the journal has others for the pair: then rows of two campaigns would be mixed.
        """
        query = "SELECT mutants FROM planned WHERE model = ? AND device = ?"
        found = self._connection.execute(query, (model, device)).fetchone()
        if found is None:
            self._write("INSERT INTO planned VALUES (?, ?, ?)", (model, device, json.dumps(list(mutants))))
            return
        before = json.loads(found[0])
        if before != list(mutants):
            pairs = zip_longest(before, mutants, fillvalue="nothing")
            number, (old, new) = next((number, pair) for number, pair in enumerate(pairs) if pair[0] != pair[1])
            raise UsageError(
                f"output folder {self.folder} was planned with other mutants of {model} on {device} (number {number} "
                f"was {old}, and is {new} now): has an operator changed since? name another folder with --output"
            )

    def add(self, row: dict[str, Any]) -> None:
        """Writes the row of one mutant on one device; whatever ends this process, it is not lost after that."""
        values = (row["model"], row["device"], row["id"], json.dumps(row, allow_nan=False))
        self._write("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?)", values)

    def add_scores(self, digest: str, scores: np.ndarray) -> None:
        """Keeps the scores of a mutant under the digest in its row: devices are compared by them."""
        buffer = io.BytesIO()
        np.save(buffer, scores)
        self._write("INSERT OR IGNORE INTO scores VALUES (?, ?)", (digest, buffer.getvalue()))

    def scores(self, digest: str) -> np.ndarray | None:
        """The scores that were kept under a digest, None where there are none."""
        found = self._connection.execute("SELECT content FROM scores WHERE digest = ?", (digest,)).fetchone()
        return None if found is None else np.load(io.BytesIO(found[0]))

    def add_examined(self, row: dict[str, Any]) -> None:
        """Writes what was found of the accesses of one mutant."""
        values = (row["model"], row["id"], json.dumps(row, allow_nan=False))
        self._write("INSERT OR REPLACE INTO examined VALUES (?, ?, ?)", values)

    def examined(self) -> dict[tuple[str, str], dict[str, Any]]:
        """All that was found of accesses so far, by model and mutant."""
        found = self._connection.execute("SELECT model, mutant, row FROM examined")
        return {(model, mutant): json.loads(row) for model, mutant, row in found}

    def _write(self, statement: str, values: tuple[str | bytes, ...]) -> None:
        """Raises CampaignInterruptedError where the disk is full: what was written before stays good."""
        try:
            self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise CampaignInterruptedError(
                f"output folder {self.folder} cannot be written any more ({error}); "
                "mend that, and the same command goes on from there"
            ) from None

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows written so far."""
        for (row,) in self._connection.execute("SELECT row FROM outcome"):
            yield json.loads(row)

    def discard_unused(self) -> None:
        """Takes a new journal without rows out of the folder again, and the folder if it was made for it.

        A campaign that could not begin leaves no trace, so that the mended command is not taken for another one.
        """
        if not self._new or self._connection.execute("SELECT count(*) FROM outcome").fetchone()[0]:
            return
        self.close()
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)
        if self._made_folder:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def close(self) -> None:
        """Gives the folder back."""
        self._connection.close()


def read_journal(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The plan and the rows of the campaign in an output folder, which is left as it is.

    Read from a copy: reading it in place would write beside it. Raises UsageError where there is none that can be read.
    """
    try:
        with held_folder("journal") as copy:
            for name in (FILE_NAME, f"{FILE_NAME}-wal"):
                if name == FILE_NAME or (folder / name).exists():
                    shutil.copyfile(folder / name, copy / name)
            with contextlib.closing(sqlite3.connect(copy / FILE_NAME)) as connection:
                (plan,) = connection.execute("SELECT plan FROM campaign").fetchone()
                rows = [json.loads(row) for (row,) in connection.execute("SELECT row FROM outcome ORDER BY rowid")]
        mapping = json.loads(plan)
        if not mapping.keys() >= {"subjects", "devices", "specification", "versions"}:
            raise ValueError("it has no whole plan")
    except (OSError, sqlite3.Error, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{folder} holds no journal of a campaign that can be read ({_why(error)})") from None
    return mapping, rows


def _why(error: Exception) -> str:
    if "locked" in str(error):
        return "another process is using it"
    return getattr(error, "strerror", None) or str(error)
