"""How runs of a command end, without any TVM in them."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tvm_mutate.errors import CampaignInterruptedError, UsageError
from tvm_mutate.suite.command_run import Command
from tvm_mutate.suite.testing import TestOutcome


def python(program: str) -> Command:
    return Command([sys.executable, "-c", program])


@pytest.mark.parametrize(
    ("program", "kind", "reason"),
    [
        ("print('fine')", TestOutcome.PASSED, "exit code 0: fine"),
        ("import sys; sys.exit('three wrong values')", TestOutcome.EXCEPTION, "exit code 1: three wrong values"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", TestOutcome.CRASH, "SIGSEGV"),
        ("import sys; sys.exit(139)", TestOutcome.CRASH, "SIGSEGV, told by exit code 139"),
    ],
)
def test_a_run_is_told_by_its_exit_code_or_signal_and_its_last_line(program: str, kind: TestOutcome, reason: str):
    with python(program).run(30) as run:
        assert (run.kind, run.reason) == (kind, reason)


def test_a_run_that_takes_too_long_is_killed_with_all_that_it_started(tmp_path: Path):
    told = tmp_path / "child"
    program = f"""
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(told)!r}).write_text(str(child.pid))
time.sleep(600)
"""
    with python(program).run(3) as run:
        assert run.kind is TestOutcome.TIMEOUT
        assert run.reason.startswith("killed after 3.")
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(told.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(int(told.read_text()))


def test_what_runs_is_killed_when_it_is_to_stop_and_nothing_is_started_after_that():
    command = python("import time; time.sleep(600)")
    threading.Timer(0.5, command.stop).start()
    for _ in range(2):
        with pytest.raises(CampaignInterruptedError), command.run(60):
            pass


def test_a_command_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="'no-such-program' cannot be started"), Command(["no-such-program"]).run(1):
        pass


def test_the_environment_has_the_mutant_and_the_folder_to_tell_what_was_applied():
    program = "import os; print(*(os.environ[name] for name in ('TVM_MUTATE', 'TVM_MUTATE_KERNEL', 'MALLOC_PERTURB_')))"
    with python(program).run(30, "tir.drop-store@*#*", "0af1") as run:
        assert run.reason == "exit code 0: tir.drop-store@*#* 0af1 171"
        assert not run.recording.applied
