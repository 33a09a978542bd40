"""Tasks in forked children: all kinds of endings, without harm to the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tvm
import tvm_ffi
from tvm import tirx
from tvm.script import tirx as T  # noqa: N812

from tvm_mutate.device import Children, run_isolated
from tvm_mutate.device.isolation import answer


def test_a_value_comes_back_with_the_last_stage_and_note():
    def task(stage):
        stage("compile", "applied")
        stage("run")
        return np.arange(3)

    ending = run_isolated(task, 20)
    assert (ending.kind, ending.stage, ending.note) == ("finished", "run", "applied")
    assert ending.value.tolist() == [0, 1, 2]


def test_an_exception_gives_one_line_and_its_stage():
    def task(stage):
        stage("compile")
        raise ValueError("first line\nthe last line")

    ending = run_isolated(task, 20)
    assert (ending.kind, ending.stage, ending.reason) == ("raised", "compile", "ValueError: the last line")


def test_the_reason_of_an_error_in_a_pass_is_the_error_without_the_module_that_tvm_adds():
    @T.prim_func
    def kernel(buffer: T.Buffer((4,), "float32")):
        buffer[0] = T.float32(1)

    def fail(_node, _mutator):
        raise ValueError("no such axis")

    @tvm.transform.module_pass(opt_level=0, name="failing")
    def failing(module, _context):
        return tvm_ffi.structural_mutate(module, [(tirx.BufferStore, fail)])

    module = tvm.IRModule({"kernel": kernel})
    with pytest.raises(ValueError, match="Error in pass: failing"):
        failing(module)
    assert run_isolated(lambda stage: failing(module), 20).reason == "ValueError: no such axis"


def test_a_segmentation_fault_is_attributed_to_its_signal_and_stage():
    def task(stage):
        stage("run")
        ctypes.string_at(0)

    ending = run_isolated(task, 20)
    assert (ending.kind, ending.stage) == ("died", "run")
    assert ending.reason.startswith("SIGSEGV")


def test_the_reason_of_an_abort_has_the_last_line_of_the_output():
    def task(stage):
        os.write(2, b"free(): invalid pointer\n")
        os.abort()

    assert run_isolated(task, 20).reason == "SIGABRT: free(): invalid pointer"


def test_a_task_that_leaves_with_an_exit_code_did_not_finish():
    ending = run_isolated(lambda stage: os._exit(7), 20)
    assert (ending.kind, ending.reason) == ("died", "the process ended with exit code 7")


def test_an_endless_task_is_killed_at_its_limit_with_the_processes_that_it_started(tmp_path: Path):
    mark = tmp_path / "pid"

    def task(stage):
        stage("run")
        sleeper = subprocess.Popen(["sleep", "60"])
        mark.write_text(str(sleeper.pid))
        signal.pause()

    started = time.monotonic()
    ending = run_isolated(task, 1.0)
    assert (ending.kind, ending.stage, ending.reason) == ("timed out", "run", "no end within the time limit")
    assert time.monotonic() - started < 10
    assert not is_running(int(mark.read_text()))


def test_a_task_that_gets_little_processor_time_may_take_longer():
    ending = run_isolated(lambda stage: time.sleep(2.0), 1.0)
    assert (ending.kind, ending.seconds > 2.0) == ("finished", True)


def test_a_task_is_killed_when_its_processor_time_is_used_up(tmp_path: Path):
    used = tmp_path / "used"

    def task(stage):
        while True:
            used.write_text(str(time.process_time()))

    assert run_isolated(task, 0.5).kind == "timed out"
    assert 0.3 < float(used.read_text() or "0.5") < 2.0


def test_a_slow_task_with_signs_of_life_may_take_ten_times_its_limit():
    def work(seconds: float) -> None:
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass

    def task(stage, steps):
        for _ in range(steps):
            work(0.2)
            stage("run")
        return "done"

    assert run_isolated(lambda stage: task(stage, 5), 0.4).value == "done"
    assert run_isolated(lambda stage: task(stage, 100), 0.4).kind == "timed out"


def test_more_memory_than_allowed_is_an_exception_of_the_task():
    ending = run_isolated(lambda stage: len(bytearray(1 << 30)), 20, headroom_bytes=1 << 28)
    assert (ending.kind, ending.reason) == ("raised", "MemoryError")


def test_a_task_that_allocates_without_end_raises_in_that_stage():
    def task(stage):
        stage("run")
        taken = []
        while len(taken) < 10_000:  # without a limit it would be let off here, before it harms anybody
            taken.append(bytes(1 << 16))

    ending = run_isolated(task, 60, headroom_bytes=1 << 28)
    assert (ending.kind, ending.stage, ending.reason) == ("raised", "run", "MemoryError")


def test_inherited_memory_does_not_count_against_the_headroom(tmp_path: Path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(4 << 30)
    mapped = np.memmap(tmp_path / "large", np.uint8, mode="c")
    ending = run_isolated(lambda stage: int(mapped[-1]) + len(bytearray(1 << 27)), 20, headroom_bytes=1 << 28)
    assert (ending.kind, ending.value) == ("finished", 1 << 27)


def test_the_system_kills_a_child_before_its_parent_when_memory_runs_out():
    score = Path("/proc/self/oom_score_adj")
    ours = score.read_text()
    assert run_isolated(lambda stage: score.read_text(), 20).value == "1000\n"
    assert score.read_text() == ours != "1000\n"


def test_the_memory_of_the_parent_does_not_change():
    values = np.zeros(1000)

    def task(stage):
        values[:] = 7
        return float(values.sum())

    assert run_isolated(task, 20).value == 7000
    assert not values.any()


def test_a_large_value_comes_back_whole():
    ending = run_isolated(lambda stage: np.ones((500, 1000), "float32"), 60)
    assert ending.value.shape == (500, 1000)
    assert ending.value.sum() == 500_000


def test_no_process_of_many_children_is_left():
    before = set(psutil.Process().children())  # those of other tests in this process
    children = Children()
    endings = [children.run(lambda stage, value=value: value**2, 10.0) for value in range(4)]
    crashed = children.run(lambda stage: os.kill(os.getpid(), signal.SIGSEGV), 10.0)
    after = children.run(lambda stage: "well", 10.0)
    assert [ending.value for ending in endings] == [0, 1, 4, 9]
    assert (crashed.kind, crashed.reason, after.value) == ("died", "SIGSEGV", "well")
    children.close()
    assert set(psutil.Process().children()) <= before


def test_few_signs_of_life_are_sent_but_every_new_stage_and_note():
    sent: list[tuple[str, object]] = []

    def task(stage) -> None:
        for _ in range(1000):
            stage("run")
        stage("run", "a note")
        stage("end")

    class Pipe:
        def send(self, message: tuple[str, tuple[str, object]]) -> None:
            sent.append(message[1])

    answer(task, Pipe())  # type: ignore[arg-type]
    assert sent[0] == ("run", None)
    assert sent[-3:] == [("run", "a note"), ("end", None), None]
    assert len(sent) < 100


def test_children_die_with_the_process_that_forked_them(tmp_path: Path):
    mark = tmp_path / "pid"
    script = (
        "import os, pathlib, time\n"
        "from tvm_mutate.device import run_isolated\n"
        "def task(stage):\n"
        f"    pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "run_isolated(task, 60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_for(lambda: mark.exists() and mark.read_text())
    parent.kill()
    parent.wait()
    assert wait_for(lambda: not is_running(int(mark.read_text())))


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
