from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import jsonschema
import msgspec
import pytest

from tvm_mutate.errors import CampaignInterruptedError, UsageError
from tvm_mutate.results import JournalFile, MutantRow, Score, results_schema, score_of, suite_schema
from tvm_mutate.results.journal import why

TABLES = {"kept": "name TEXT PRIMARY KEY, value TEXT", "other": "name TEXT"}


@pytest.mark.parametrize("make", [results_schema, suite_schema])
def test_a_schema_made_from_the_types_is_a_schema(make):
    jsonschema.Draft202012Validator.check_schema(make())


def test_the_schema_names_every_field_of_a_mutants_row():
    assert {*results_schema()["$defs"]["MutantRow"]["properties"]} == {*MutantRow.__struct_fields__}


def test_a_row_with_an_unknown_name_or_word_is_refused():
    for mapping in ({"surprise": 1}, {"verdict": "slain"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(mapping, MutantRow)


def test_a_score_counts_killed_and_survived_mutants_only():
    score = score_of(["killed", "survived", "killed", None, "equivalent", "no coverage", "survived", "killed"])
    assert score == Score(3, 5)
    assert score.interval[0] < score.value < score.interval[1]
    assert (Score(0, 0).value, Score(0, 0).interval) == (None, (0.0, 1.0))


def test_a_journal_keeps_what_was_written_and_refuses_a_second_user(tmp_path: Path):
    journal = JournalFile(tmp_path / "out", "kept.sqlite", TABLES, "name another")
    journal.write("INSERT INTO kept VALUES (?, ?)", "a", "b")
    with pytest.raises(UsageError, match="another process is using it\\); name another"):
        JournalFile(tmp_path / "out", "kept.sqlite", TABLES, "name another")
    journal.close()
    again = JournalFile(tmp_path / "out", "kept.sqlite", TABLES, "name another")
    assert (again.is_new, again.read("SELECT * FROM kept WHERE name = ?", "a")) == (False, [("a", "b")])


def test_a_journal_leaves_the_files_of_others_as_they_are(tmp_path: Path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(UsageError, match="already holds 'notes' and no journal"):
        JournalFile(tmp_path, "kept.sqlite", TABLES, "name another", own_folder=True)
    JournalFile(tmp_path, "kept.sqlite", {"theirs": "name TEXT"}, "").close()
    with pytest.raises(UsageError, match="of another program"):
        JournalFile(tmp_path, "kept.sqlite", TABLES, "name another")


def test_a_discarded_journal_leaves_no_file_and_no_folder(tmp_path: Path):
    JournalFile(tmp_path / "out", "kept.sqlite", TABLES, "").discard()
    assert list(tmp_path.iterdir()) == []


def test_a_discarded_journal_leaves_the_files_of_others_and_an_old_journal(tmp_path: Path):
    folder = tmp_path / "new" / "folder"
    journal = JournalFile(folder, "kept.sqlite", TABLES, "")
    for name in ("kept.sqlite-shm", "notes"):
        (folder / name).write_text("")
    journal.discard()
    assert [path.name for path in folder.iterdir()] == ["notes"]
    JournalFile(tmp_path, "kept.sqlite", TABLES, "").close()
    old = JournalFile(tmp_path, "kept.sqlite", TABLES, "")
    old.discard()
    assert old.read("SELECT * FROM kept") == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK | os.X_OK)
    with pytest.raises(UsageError, match=r"cannot be used \(permission denied\); name another$"):
        JournalFile(tmp_path, "kept.sqlite", TABLES, "name another")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (PermissionError(13, "permission denied"), "permission denied"),
        (sqlite3.OperationalError("database is locked"), "another process is using it"),
        (sqlite3.OperationalError("no such table"), "no such table"),
        (OSError("broken"), "broken"),
    ],
)
def test_the_cause_of_an_error_is_a_few_words(error: Exception, cause: str):
    assert why(error) == cause


def test_a_full_disk_interrupts_the_work(tmp_path: Path):
    journal = JournalFile(tmp_path / "out", "kept.sqlite", TABLES, "")
    journal._connection.execute("PRAGMA max_page_count=8")
    with pytest.raises(
        CampaignInterruptedError,
        match=r"written any more \(.* full\); mend that, and the same command goes on from there$",
    ):
        for number in range(1000):
            journal.write("INSERT INTO kept VALUES (?, ?)", str(number), "x" * 1000)
