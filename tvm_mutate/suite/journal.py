"""The journal of a suite or a command: an SQLite file with every run of a test, which later runs reuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tvm_mutate.errors import UsageError
from tvm_mutate.results import JournalFile

_VERSION = "1"
_KEY = ("mutant", "way", "code", "test", "source")
_TABLES = {
    "suite": "version TEXT NOT NULL",
    "trial": f"{', '.join(f'{name} TEXT NOT NULL' for name in _KEY)}, answer TEXT NOT NULL, "
    f"PRIMARY KEY ({', '.join(_KEY)})",
}


class TrialKey(NamedTuple):
    """What identifies a run of a test with a mutant: with an equal key, the run ends in the same way.

    ``mutant`` is the mutant's id, which contains the digest of the kernel. ``way`` says which builds are mutated.
    ``code`` identifies the lowered code of the kernel in the test. ``source`` is the digest of the test's file.
    """

    mutant: str
    way: str
    code: str
    test: str
    source: str


class SuiteJournal(JournalFile):
    """The journal of trials in a folder; raises UsageError as a JournalFile does, and for another version's journal.

    ``reused`` counts the trials that were found in the journal, ``added`` those that were written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "suite.sqlite", _TABLES, "name another")
        self.reused = 0
        self.added = 0
        versions = self.read("SELECT version FROM suite")
        if not versions:
            self.write("INSERT INTO suite VALUES (?)", _VERSION)
        elif versions[0][0] != _VERSION:
            self.close()
            raise UsageError(f"output folder {folder} holds a journal of another version of tvm_mutate; name another")

    def find(self, key: TrialKey) -> dict[str, Any] | None:
        """The trial with this key from this run or an earlier one, as :meth:`add` wrote it; None if there is none."""
        found = self._find(key)
        self.reused += bool(found)
        return json.loads(found[0][0]) if found else None

    def has(self, key: TrialKey) -> bool:
        """Whether the journal has a trial with this key."""
        return bool(self._find(key))

    def _find(self, key: TrialKey) -> list[tuple[Any, ...]]:
        return self.read(f"SELECT answer FROM trial WHERE {' AND '.join(f'{name} = ?' for name in _KEY)}", *key)

    def add(self, key: TrialKey, trial: msgspec.Struct) -> None:
        """Writes a trial, which survives the end of this process in any way."""
        text = msgspec.json.encode(trial).decode()
        self.write("INSERT OR REPLACE INTO trial VALUES (?, ?, ?, ?, ?, ?)", *key, text)
        self.added += 1
