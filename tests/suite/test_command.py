"""How executions of commands without TVM end."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tvm_mutate.errors import CampaignInterruptedError, UsageError
from tvm_mutate.results import CommandOutcome
from tvm_mutate.suite.command import Command


def python(program: str) -> Command:
    return Command([sys.executable, "-c", program])


@pytest.mark.parametrize(
    ("program", "failure", "reason"),
    [
        ("print('fine')", None, "exit code 0: fine"),
        ("import sys; sys.exit('three wrong values')", CommandOutcome.EXIT_CODE, "exit code 1: three wrong values"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", CommandOutcome.CRASH, "SIGSEGV"),
        ("import sys; sys.exit(139)", CommandOutcome.CRASH, "SIGSEGV, reported by exit code 139"),
    ],
)
def test_the_reason_names_the_exit_code_or_signal_and_the_last_line(
    program: str, failure: CommandOutcome | None, reason: str
):
    with python(program).execute(30) as run:
        assert (run.failure, run.reason) == (failure, reason)


def test_an_execution_beyond_its_limit_is_killed_with_its_children(tmp_path: Path):
    pid_file = tmp_path / "child"
    program = f"""
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))
time.sleep(600)
"""
    with python(program).execute(3) as run:
        assert run.failure is CommandOutcome.TIMEOUT
        assert run.reason.startswith("killed after 3.")
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(pid_file.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(int(pid_file.read_text()))


def test_stop_kills_the_executions_and_prevents_later_ones():
    command = python("import time; time.sleep(600)")
    threading.Timer(0.5, command.stop).start()
    for _ in range(2):
        with pytest.raises(CampaignInterruptedError), command.execute(60):
            pass


def test_a_command_that_does_not_exist_is_refused():
    with (
        pytest.raises(UsageError, match="'no-such-program' cannot be started"),
        Command(["no-such-program"]).execute(1),
    ):
        pass


def test_the_environment_names_the_mutant_and_the_kernel_and_the_fill_pattern():
    program = "import os; print(*(os.environ[name] for name in ('TVM_MUTATE', 'TVM_MUTATE_KERNEL', 'MALLOC_PERTURB_')))"
    with python(program).execute(30, "tir.drop-store@*#*", "0af1") as run:
        assert run.reason == "exit code 0: tir.drop-store@*#* 0af1 171"
        assert not run.recording.applied
