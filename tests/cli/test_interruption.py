"""Interrupted campaigns, and closed pipes."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from tvm_mutate.results import read_json

from .conftest import Tool, command

SURVIVOR = "tir.swap-compare{from=gt,to=ge}@*#*"
# None of these can read outside its buffers: their results are the same in every run. The third waits at the gate, for
# as long as it takes; the one worker takes the mutants of a kernel in their order.
SEVERAL = (
    "tir.store-through{type=int8}@matmul#0",
    "tir.offset-store@matmul#1",
    "tir.gated-store@matmul#*",
    "tir.store-through{type=int32}@matmul#0",
    "tir.offset-store@fused_conv2d_relu#1",
)
BEFORE_THE_GATE = 2


def arguments_of(network: list[str], output: Path) -> list[str]:
    mutants = [argument for mutant in SEVERAL for argument in ("--mutant", mutant)]
    return ["run", *network, *mutants, "--timeout", "600", "--output", str(output), "--quiet"]


def rows_on_disk(journal: Path) -> int:
    """Rows of the journal, read from a copy: the campaign holds it for itself."""
    with tempfile.TemporaryDirectory() as folder:
        for path in journal.parent.glob(f"{journal.name}*"):
            (Path(folder) / path.name).write_bytes(path.read_bytes())
        with contextlib.closing(sqlite3.connect(Path(folder) / journal.name)) as connection:
            try:
                return connection.execute("SELECT count(*) FROM outcome").fetchone()[0]
            except sqlite3.DatabaseError:
                return 0


def hears_interrupts() -> None:
    """What a shell starts in the background ignores Ctrl-C, and so does all that it starts: the tests may be that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stopped(
    arguments: list[str], output: Path, gate: Any, number: signal.Signals, everyone: bool
) -> subprocess.CompletedProcess[str]:
    """A campaign that got a signal while it was at the gate, with the rows before that in its journal.

    Ctrl-C goes to workers too, where it goes to everyone.
    """
    gate.close()
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hears_interrupts,
    )
    try:
        while not gate.is_reached() or rows_on_disk(output / "journal.sqlite") < BEFORE_THE_GATE:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        (os.killpg if everyone else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert rows_on_disk(output / "journal.sqlite") == BEFORE_THE_GATE
    gate.open()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.mark.parametrize("everyone", [False, True], ids=["the tool alone", "its workers too"])
def test_ctrl_c_is_exit_code_four_and_the_same_command_resumes(
    tool: Tool, tmp_path: Path, network: list[str], gate: Any, everyone: bool
):
    output = tmp_path / "out"
    ended = stopped(arguments_of(network, output), output, gate, signal.SIGINT, everyone)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith("error: interrupted; ") and ended.stderr.count("\n") == 1
    assert str(output) in ended.stderr
    assert not (output / "results.json").exists()
    assert tool(*arguments_of(network, output)).code == 0
    assert len(read_json(output).mutants) == len(SEVERAL)


def test_the_next_campaign_removes_the_temporary_files_of_a_killed_one(
    tool: Tool, tmp_path: Path, network: list[str], gate: Any, monkeypatch: pytest.MonkeyPatch
):
    temporary, output = tmp_path / "temporary", tmp_path / "out"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    ended = stopped(arguments_of(network, output), output, gate, signal.SIGKILL, everyone=False)
    assert ended.returncode == -signal.SIGKILL
    assert {path.name.split("-")[2] for path in temporary.iterdir()} == {"golden", "inputs", "workers"}
    assert tool(*arguments_of(network, output)).code == 0
    assert len(read_json(output).mutants) == len(SEVERAL)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("early", [("operators",), ("list", "zoo://alexnet")])
def test_a_closed_pipe_ends_a_command_in_silence(early: tuple[str, ...]):
    reading, writing = os.pipe()
    os.close(reading)
    finished = subprocess.run(command(*early), stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (finished.returncode, "Traceback" in finished.stderr, "rror" in finished.stderr) == (0, False, False)


def test_a_closed_pipe_does_not_hide_a_score_below_the_threshold(tmp_path: Path, network: list[str]):
    reading, writing = os.pipe()
    os.close(reading)
    arguments = ["run", *network, "--mutant", SURVIVOR, "--output", str(tmp_path / "out"), "--quiet"]
    finished = subprocess.run(
        command(*arguments, "--fail-under", "100"), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert finished.returncode == 2
    assert finished.stderr == "score 0.0 %: below --fail-under 100 %\n"
    assert len(read_json(tmp_path / "out").mutants) == 1
