"""The journal of a suite: an SQLite file with every run of a test that was asked for, which later sessions reuse."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tvm_mutate.errors import UsageError

FILE_NAME = "suite.sqlite"
_TABLES = {"suite", "trial"}
_VERSION = "1"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS suite (version TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trial (
  mutant TEXT NOT NULL, way TEXT NOT NULL, code TEXT NOT NULL, test TEXT NOT NULL, source TEXT NOT NULL,
  answer TEXT NOT NULL, PRIMARY KEY (mutant, way, code, test, source)
);
"""


@dataclass(frozen=True)
class Question:
    """What one run of a test with a mutant is the answer to; while all of it is the same, so is the answer.

    ``mutant`` is the mutant's id, which has the digest of the kernel in it; ``code`` is what the test's builds lower
    that kernel to; ``way`` says which builds are mutated, or what else is asked; ``source`` is the digest of the file.
    """

    mutant: str
    way: str
    code: str
    test: str
    source: str


class SuiteJournal:
    """The journal in a folder; one process uses it at a time.

    Raises UsageError where the folder cannot be used, is in use, or holds another program's file of that name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reused = 0
        self.added = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None, timeout=0)
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("BEGIN EXCLUSIVE")
            tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
            if tables and not tables >= _TABLES:
                raise sqlite3.DatabaseError(f"{FILE_NAME} is another program's")
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            found = self._connection.execute("SELECT version FROM suite").fetchone()
            if found is None:
                self._connection.execute("INSERT INTO suite VALUES (?)", (_VERSION,))
            elif found[0] != _VERSION:
                raise sqlite3.DatabaseError(f"{FILE_NAME} is of another version of tvm_mutate")
            self._connection.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            why = "another process is using it" if "locked" in str(error) else getattr(error, "strerror", None) or error
            raise UsageError(f"folder {folder} cannot be used ({why}); name another") from None

    def answer(self, question: Question) -> dict[str, Any] | None:
        """What was answered to the question before, in this session or in an earlier one; None where nothing was."""
        found = self._found(question)
        self.reused += found is not None
        return None if found is None else json.loads(found)

    def has_answer(self, question: Question) -> bool:
        """Whether the question was answered before."""
        return self._found(question) is not None

    def _found(self, question: Question) -> str | None:
        query = "SELECT answer FROM trial WHERE mutant = ? AND way = ? AND code = ? AND test = ? AND source = ?"
        found = self._connection.execute(query, tuple(asdict(question).values())).fetchone()
        return None if found is None else str(found[0])

    def add(self, question: Question, answer: dict[str, Any]) -> None:
        """Writes an answer; whatever ends this process, it is not lost after that."""
        values = (*asdict(question).values(), json.dumps(answer))
        self._connection.execute("INSERT OR REPLACE INTO trial VALUES (?, ?, ?, ?, ?, ?)", values)
        self.added += 1

    def close(self) -> None:
        """Gives the folder back."""
        self._connection.close()
