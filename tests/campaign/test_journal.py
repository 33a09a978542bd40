"""The journal: what it keeps, whom it refuses, and a full disk."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tvm_mutate.campaign import Journal
from tvm_mutate.errors import CampaignInterruptedError, UsageError


def row(mutant: str, **more) -> dict:
    return {"model": "m", "device": "d", "id": mutant, **more}


def test_rows_come_back_as_they_were_written_after_the_journal_was_closed(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    rows = [row("a", labels=[1, 2]), row("b", reason="Ω")]
    for each in rows:
        journal.add(each)
    journal.close()
    reopened = Journal(tmp_path / "out", "digest", {})
    assert list(reopened.rows()) == rows


def test_another_campaign_is_refused(tmp_path: Path):
    Journal(tmp_path / "out", "digest", {}).close()
    with pytest.raises(UsageError, match="holds another campaign"):
        Journal(tmp_path / "out", "other digest", {})


def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    script = (
        "import pathlib, sys\n"
        "from tvm_mutate.campaign import Journal\n"
        "Journal(pathlib.Path(sys.argv[1]), 'digest', {})\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert "another process is using it" in finished.stderr
    journal.add(row("a"))
    assert len(list(journal.rows())) == 1


def test_a_full_disk_stops_the_campaign_with_one_sentence_and_loses_nothing(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    journal._connection.execute("PRAGMA max_page_count=8")
    written = 0
    with pytest.raises(CampaignInterruptedError, match=r"full.*the same command goes on"):
        for number in range(1000):
            journal.add(row(str(number), reason="x" * 1000))
            written += 1
    journal.close()
    reopened = Journal(tmp_path / "out", "digest", {})
    assert len(list(reopened.rows())) == written > 0


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match=r"output folder .*out cannot be used"):
        Journal(tmp_path / "out", "digest", {})
    assert (tmp_path / "out").read_text() == "mine"


def test_a_journal_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path):
    (tmp_path / "journal.sqlite").write_text("not a database, but somebody's notes")
    with pytest.raises(UsageError, match="cannot be used"):
        Journal(tmp_path, "digest", {})
    assert (tmp_path / "journal.sqlite").read_text() == "not a database, but somebody's notes"
