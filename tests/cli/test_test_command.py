"""``tvm-mutate test``: which mutants a command kills."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Tool, assert_refused
from tests.entry_points import environment_with_entry_points

BUILD = """
import numpy as np, tvm
from tvm import te

def doubled(size):
    given = te.placeholder((size,), name="A")
    result = te.compute((size,), lambda i: given[i] * 2.0 + 1.0, name="B")
    library = tvm.compile(te.create_prim_func([given, result]), target="llvm")
    stored = tvm.runtime.tensor(np.zeros(size, "float32"))
    library(tvm.runtime.tensor(np.arange(size, dtype="float32")), stored)
    return stored.numpy()
"""
CAREFUL = f"{BUILD}\nnp.testing.assert_allclose(doubled(16), np.arange(16) * 2 + 1, rtol=1e-3)\n"
CARELESS = f"{BUILD}\ndoubled(16)\n"


@pytest.fixture
def judge(process: Tool, tmp_path: Path):
    """Runs ``tvm-mutate test`` on a Python script."""

    def run(script: str, *options: str) -> Ended:
        path = tmp_path / "script.py"
        path.write_text(script)
        environment = environment_with_entry_points(tmp_path)
        return process("test", *options, "--quiet", "--", sys.executable, path, environment=environment)

    return run


def test_mutants_of_a_commands_kernels_are_killed_or_survive_and_the_same_command_resumes(judge, tmp_path: Path):
    output = tmp_path / "out"
    options = ("--operators", "tir.store-zero,tir.store-through,graph.*", "--output", str(output))
    first = judge(CAREFUL, *options)
    assert first.code == 0, first.err
    content = json.loads((output / "command.json").read_text())
    assert (content["builds"], content["kernels"], content["reused"]) == (1, 1, 0)
    ended = {(row["mutant"].partition("@")[0], row["ended"]) for row in content["rows"]}
    assert ("tir.store-zero", "exit code") in ended
    assert ("tir.store-through", "survived") in ended
    assert all(row["mutant"].startswith("tir.") for row in content["rows"])
    (zero,) = [row for row in content["rows"] if row["operator"] == "tir.store-zero"]
    assert zero["reason"].startswith("exit code 1")

    again = judge(CAREFUL, *options, "--fail-under", "100")
    assert again.code == 2
    assert "below --fail-under 100 %" in again.err
    assert json.loads((output / "command.json").read_text()) == {
        **content,
        "baseline_seconds": pytest.approx(content["baseline_seconds"], abs=600),
        "reused": len(content["rows"]),
    }
    assert "Mutation score" in again.out


def test_a_command_that_notices_nothing_is_refused(judge):
    assert_refused(judge(CARELESS), "notices nothing", "with every store of every kernel removed", code=3)


def test_a_command_that_fails_without_a_mutant_is_refused(judge):
    assert_refused(judge("import sys; sys.exit('broken')"), "fails without any mutant", "exit code 1: broken", code=3)


def test_a_command_that_builds_nothing_is_refused(judge):
    assert_refused(judge("print('nothing')"), "no build was seen", code=3)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--operators", "tir.drop-stor", "--", "true"], "no operator matches 'tir.drop-stor'"),
        (["--sites", "some", "--", "true"], "--sites 'some' is not known"),
        (["--", "no-such-program"], "'no-such-program' cannot be started"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(tool: Tool, options: list[str], part: str):
    assert_refused(tool("test", *options), part)
