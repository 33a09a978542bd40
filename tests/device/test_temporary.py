"""Held folders are deleted after their processes have ended, in whatever way, and never before."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tvm_mutate.device import held_folder

HOLD = """
import os, signal, sys
from tvm_mutate.device import held_folder
with held_folder("test") as folder:
    (folder / "golden").write_bytes(b"x" * 1000)
    CHILD
    print(folder, flush=True)
    signal.pause()
"""
# Makes and ends folders as fast as it can, and sees whether others take away what it holds.
CHURN = """
from tvm_mutate.device import held_folder
for number in range(150):
    with held_folder("test") as folder:
        (folder / "mine").write_text(str(number))
        assert sorted(path.name for path in folder.iterdir()) == ["mine"]
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the temporary files of this process and of those that it starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def holder(child: str = "") -> tuple[subprocess.Popen, Path]:
    """A process that holds a folder until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.replace("CHILD", child)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def make_one() -> None:
    with held_folder("test"):
        pass


def test_a_held_folder_is_empty_at_first_and_gone_at_the_end(temporary: Path):
    with held_folder("golden") as folder:
        assert folder.parent == temporary and "golden" in folder.name
        assert not list(folder.iterdir())
        (folder / "values").write_text("x")
    assert not list(temporary.iterdir())


def test_the_next_process_deletes_the_folder_of_a_killed_process_and_no_other():
    dead, left = holder()
    alive, held = holder()
    with held_folder("ours") as ours:
        dead.kill()
        dead.wait()
        assert left.exists()
        make_one()
        assert not left.exists()
        assert (held / "golden").exists() and ours.exists()
    alive.kill()
    alive.wait()
    make_one()
    assert not held.exists()


def test_a_folder_stays_while_a_forked_child_of_its_dead_process_lives():
    process, folder = holder("os.fork() or signal.pause()")
    process.kill()
    process.wait()
    make_one()
    assert folder.exists()
    os.killpg(process.pid, 9)
    assert process.stdout is not None and process.stdout.read() == ""  # the child has closed it, too: it is dead
    make_one()
    assert not folder.exists()


def test_started_programs_do_not_hold_the_folder():
    process, folder = holder("__import__('subprocess').Popen(['sleep', '60'], stdout=-3)")
    process.kill()
    process.wait()
    make_one()
    assert not folder.exists()
    os.killpg(process.pid, 9)


def test_no_other_folder_is_deleted(temporary: Path, tmp_path: Path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo").write_text("x")
    (temporary / "tvm_mutate-held-link").symlink_to(precious)
    (temporary / "tvm_mutate-held-file").write_text("x")
    (temporary / "tvm_mutate-golden-of-another-version").mkdir()
    make_one()
    assert (precious / "photo").exists()
    assert len(list(temporary.iterdir())) == 3


def test_processes_that_make_and_delete_folders_in_parallel_keep_their_own(temporary: Path):
    processes = [subprocess.Popen([sys.executable, "-c", CHURN]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert not list(temporary.iterdir())
