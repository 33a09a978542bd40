"""docs/architecture.md is true: its layers, its files, and the walk of a mutant through the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_house import LAYERS, PACKAGE, ROOT
from tvm_mutate.mutant import Slot
from tvm_mutate.oracle import Outcome, Rung, Verdict

PAGE = (ROOT / "docs" / "architecture.md").read_text()
WALK = (
    PAGE.split("## The walk of a mutant")[1].split("### What other mutants")[0].split("takes the following steps.")[1]
)
# Each process of a campaign starts this module, which writes the files of the package whose functions are called:
# in the campaign from the last submission of requests to the row in the journal (with the callers of the submission),
# in a worker and in its child from the moment when they get the mutant.
TRACER = """
import os, sys, threading
PACKAGE, OUT = os.environ["TRACED_PACKAGE"] + os.sep, os.environ["TRACE"]
STARTS = {("campaign/pool.py", "submit"), ("campaign/worker.py", "judge"), ("evaluate/content.py", "_evaluate")}
ENDS = {("campaign/journal.py", "add")}
seen, on = set(), [False]

def note(name):
    with open(f"{OUT}.{os.getpid()}", "a") as file:
        file.write(name + "\\n")

def profile(frame, event, argument):
    code = frame.f_code
    if event != "call" or not code.co_filename.startswith(PACKAGE) or code.co_name == "<module>":
        return
    name = code.co_filename[len(PACKAGE):]
    if (name, code.co_name) in STARTS:
        on[0] = True
        seen.clear()
        note("start")
        while name.startswith("campaign/pool") and (frame := frame.f_back):
            if frame.f_code.co_filename.startswith(PACKAGE):
                note(frame.f_code.co_filename[len(PACKAGE):])
    if on[0] and name not in seen:
        seen.add(name)
        note(name)
    on[0] = on[0] and (name, code.co_name) not in ENDS

threading.setprofile(profile)
sys.setprofile(profile)
"""
# Files whose code runs on the way and that hold no step of the walk.
NOT_A_STEP = {"text_enum.py", "errors.py", "__main__.py"}
# Files of the walk with an interface, with a type, and with the code that runs after the trace ends.
NOT_TRACED = {"evaluate/memory.py", "results/rows.py", "results/journal.py"}


def files_of(text: str) -> set[str]:
    """The files of the package that a text names, relative to the package."""
    return set(re.findall(r"`tvm_mutate/([\w/]+\.py)`", text))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tvm_mutate|tests|benchmarks|docs)/[\w/.]+)`", PAGE))))
def test_a_file_of_the_page_exists(path: str):
    assert (ROOT / path).exists()


def test_the_layers_of_the_page_are_those_that_imports_are_held_to():
    rows = re.findall(r"^\| (`.*?) \| .* \|$", PAGE.split("## Layers")[1].split("##")[0], re.MULTILINE)
    layers = [{name.rstrip("/").removesuffix(".py") for name in re.findall(r"`([^`]+)`", row)} for row in rows]
    assert layers[::-1] == list(LAYERS)


def test_the_page_has_the_words_of_the_code():
    for words in (Slot, Outcome, Verdict, Rung):
        assert [str(word) for word in words if str(word) not in PAGE] == []


def test_the_walk_names_the_files_through_which_a_mutant_passes(tmp_path: Path):
    (command,) = re.findall(r"^\$ tvm-mutate (.*)$", PAGE, re.MULTILINE)
    (tmp_path / "sitecustomize.py").write_text(TRACER)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
        "TRACE": str(tmp_path / "trace"),
        "TRACED_PACKAGE": str(PACKAGE),
    }
    subprocess.run(
        [sys.executable, "-m", "tvm_mutate", *command.split()],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
    )
    # The canaries come first, so what follows the last start belongs to the mutant.
    traces = [path.read_text().split("start\n")[-1].split() for path in tmp_path.glob("trace.*")]
    assert len(traces) >= 3  # the campaign, its worker, the shared child
    passed = {name for trace in traces for name in trace} - NOT_A_STEP
    assert passed - files_of(WALK) == set()
    assert files_of(WALK) - passed <= NOT_TRACED
    assert f"These are {len(files_of(WALK))} files and 4 process crossings" in WALK
