"""A mutant named in the environment is in every build of a process, and of the processes that it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.entry_points import environment_with_entry_points
from tvm_mutate.activation import LoggedBuilds
from tvm_mutate.mutant import Slot

MUTANT = "tir.drop-store@main#*"
BUILD = """
import numpy as np, tvm
from tests.activation.conftest import doubling

def stored():
    result = tvm.runtime.tensor(np.full(16, -1, "float32"))
    tvm.compile(doubling(), target="llvm")(tvm.runtime.tensor(np.ones(16, "float32")), result)
    return sorted(set(result.numpy().tolist()))
"""
TELL = f"{BUILD}\nprint(stored())\n"


def python(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = environment_with_entry_points(folder, **variables)
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_process_is_mutated_and_says_so_in_two_lines(tmp_path: Path):
    finished = python(TELL, tmp_path, TVM_MUTATE=MUTANT)
    assert (finished.returncode, finished.stdout) == (0, "[-1.0]\n")
    assert finished.stderr.splitlines() == [
        f"tvm_mutate: mutant {MUTANT} is active in all builds of this process",
        f"tvm_mutate: mutant {MUTANT} was applied (builds changed: 1 of 1)",
    ]


def test_a_mutant_that_finds_nothing_to_change_says_that_it_was_never_applied(tmp_path: Path):
    finished = python(TELL, tmp_path, TVM_MUTATE=MUTANT, TVM_MUTATE_BUILD="7")
    assert (finished.returncode, finished.stdout) == (0, "[3.0]\n")
    begun, ended = finished.stderr.splitlines()
    assert begun.endswith(", build 7")
    assert ended == f"tvm_mutate: mutant {MUTANT} was NEVER applied (builds changed: 0 of 1)"


def test_tvm_may_be_imported_by_this_package_itself(tmp_path: Path):
    finished = python(f"import tvm_mutate.activation\n{TELL}", tmp_path, TVM_MUTATE=MUTANT)
    assert (finished.returncode, finished.stdout) == (0, "[-1.0]\n")
    assert "was applied (builds changed: 1 of 1)" in finished.stderr


POOL = """
def build():
    from tests.activation.test_environment import BUILD
    names = {}
    exec(BUILD, names)
    return names["stored"]()

from tvm.support.popen_pool import PopenPoolExecutor
print(PopenPoolExecutor(max_workers=1).submit(build).result())
"""


def test_processes_of_tvms_popen_pool_are_mutated_and_say_so(tmp_path: Path):
    finished = python(POOL, tmp_path, TVM_MUTATE=MUTANT, TVM_MUTATE_RECORD=str(tmp_path / "record"))
    assert (finished.returncode, finished.stdout) == (0, "[-1.0]\n"), finished.stderr
    assert LoggedBuilds.read(tmp_path / "record").applied


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"TVM_MUTATE": "tir.drop-stor@*#*"}, "did you mean 'tir.drop-store'?"),
        ({"TVM_MUTATE": "nonsense"}, "does not parse"),
        ({"TVM_MUTATE": MUTANT, "TVM_MUTATE_BUILD": "first"}, "TVM_MUTATE_BUILD=first is not a build number"),
    ],
)
def test_an_activation_that_is_not_possible_ends_the_process_with_one_sentence(
    tmp_path: Path, variables: dict[str, str], part: str
):
    finished = python("import tvm; print('unmutated')", tmp_path, **variables)
    assert (finished.returncode, finished.stdout) == (1, "")
    (line,) = finished.stderr.splitlines()
    assert line.startswith("error: TVM_MUTATE=") and part in line


def test_a_process_without_a_mutant_has_nothing_of_this_package_but_the_entry_point(tmp_path: Path):
    program = """
import sys, tvm, tvm.tirx.compilation_pipeline as of_tir, tvm.relax.pipeline as of_relax
print(sorted(name for name in sys.modules if name.startswith("tvm_mutate")))
print([type(module.PIPELINE_MAP) is dict for module in (of_tir, of_relax)])
print({factory.__module__.split(".")[0] for factory in of_tir.PIPELINE_MAP.values()})
"""
    finished = python(program, tmp_path)
    assert finished.stdout.splitlines() == ["['tvm_mutate', 'tvm_mutate.autoload']", "[True, True]", "{'tvm'}"]
    assert finished.stderr == ""


def test_the_entry_point_imports_nothing_but_os():
    program = """
import os, sys
before = set(sys.modules)
import tvm_mutate.autoload
tvm_mutate.autoload.autoload()
print(sorted(set(sys.modules) - before))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "['tvm_mutate', 'tvm_mutate.autoload']\n"


def test_the_package_exports_activate():
    import tvm_mutate
    from tvm_mutate.activation import activate

    assert tvm_mutate.activate is activate
    with pytest.raises(AttributeError, match="no attribute 'deactivate'"):
        _ = tvm_mutate.deactivate


def test_a_recording_has_the_modules_of_each_slot_and_no_line_on_stderr(tmp_path: Path):
    finished = python(f"{TELL}print(stored())", tmp_path, TVM_MUTATE_RECORD=str(tmp_path / "record"))
    assert (finished.stdout, finished.stderr) == ("[3.0]\n[3.0]\n", "")
    recording = LoggedBuilds.read(tmp_path / "record")
    assert (recording.builds, recording.relax_pipelines, recording.applied) == (2, 0, False)
    assert {each.slot for each in recording.modules} == {Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN}
    assert all("main" in {at.name_hint for at in each.module().functions} for each in recording.modules)
