"""The journal: an SQLite file that keeps results as they come, and survives the end of its process in any way."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tvm_mutate.errors import CampaignInterruptedError, UsageError


class JournalFile:
    """An SQLite file in an output folder; one process uses the file at a time.

    ``tables`` maps the name of each table to its columns in SQL. ``remedy`` ends each error message. With
    ``own_folder`` the folder must be empty when the journal is new. Raises UsageError if the folder cannot be written
    or is in use, or if the file or the folder belongs to another program.
    """

    def __init__(
        self, folder: Path, name: str, tables: Mapping[str, str], remedy: str, own_folder: bool = False
    ) -> None:
        self.folder, self._name = folder, name
        try:
            self._made_folder = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "permission denied")
            self.is_new = not (folder / name).exists()
            if self.is_new and own_folder:
                self._check_empty()
            if not self.is_new:
                self._check_tables({*tables})
            self._connection = sqlite3.connect(folder / name, isolation_level=None, timeout=0)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # A committed row is in the file's pages in memory and survives the end of this process in any way. Only a
            # crash of the machine may lose the last rows, which are then calculated again; the file stays whole. FULL
            # would wait for the disk at every row.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
            for table, columns in tables.items():
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
            self._connection.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"output folder {folder} cannot be used ({why(error)}); {remedy}") from None

    def _check_empty(self) -> None:
        foreign = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith(self._name))
        if foreign:
            raise UsageError(
                f"output folder {self.folder} already holds {foreign[0]!r} and no journal; name an empty folder"
            )

    def _check_tables(self, wanted: set[str]) -> None:
        """Refuses the database of another program before anything is written: all tables are made at once."""
        with contextlib.closing(sqlite3.connect(self.folder / self._name, timeout=0)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and tables != wanted:
            raise UsageError(
                f"output folder {self.folder} holds a {self._name} of another program; name an empty folder"
            )

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._connection.execute(query, values).fetchall()

    def write(self, statement: str, *values: object) -> None:
        """Executes a statement; raises CampaignInterruptedError if the disk is full: all earlier rows stay good."""
        try:
            self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise CampaignInterruptedError(
                f"output folder {self.folder} cannot be written any more ({error}); "
                "mend that, and the same command goes on from there"
            ) from None

    def discard(self) -> None:
        """Deletes a new journal, and the folder if the journal made it: a campaign that cannot begin leaves nothing."""
        if not self.is_new:
            return
        self.close()
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"{self._name}{suffix}").unlink(missing_ok=True)
        if self._made_folder:
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def close(self) -> None:
        """Releases the folder for other processes."""
        self._connection.close()


def why(error: Exception) -> str:
    """The cause of an error of SQLite or of the system, in a few words."""
    if "locked" in str(error):
        return "another process is using it"
    return getattr(error, "strerror", None) or str(error)
