"""Runs the command line for its tests: in this process, or in another one if a test needs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import tvm_mutate
from tvm_mutate.cli.console import run_command
from tvm_mutate.cli.main import cli

NETWORK = """
import numpy as np
from tvm import relax
from tvm.script import relax as R

W = np.random.default_rng(7).normal(size=(4, 3, 3, 3)).astype("float32")
D = np.random.default_rng(8).normal(size=(64, 5)).astype("float32")


def model():
    builder = relax.BlockBuilder()
    x = relax.Var("x", R.Tensor((1, 3, 4, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            conv = builder.emit(relax.op.nn.conv2d(x, relax.const(W), padding=[1, 1]))
            relu = builder.emit(relax.op.nn.relu(conv))
            flat = builder.emit(relax.op.reshape(relu, (1, 64)))
            out = builder.emit_output(OUTPUT)
        builder.emit_func_output(out)
    return builder.get()
"""
SCORES = "relax.op.matmul(flat, relax.const(D))"
INPUTS = 6


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Tool = Callable[..., Ended]


@pytest.fixture(autouse=True)
def other_processes_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a test starts import the package under test, installed or not."""
    folder = str(Path(tvm_mutate.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])]))


@pytest.fixture
def tool(capfd: pytest.CaptureFixture[str]) -> Tool:
    """Runs ``tvm-mutate`` in this process; what C++ writes is captured with the rest."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        code = run_command(cli, [str(each) for each in arguments], name="tvm-mutate")
        return Ended(code, *capfd.readouterr())

    return run


@pytest.fixture
def process() -> Tool:
    """Runs a module of the package in a process of its own."""

    def run(*arguments: object, module: str = "tvm_mutate", environment: Mapping[str, str] | None = None) -> Ended:
        finished = subprocess.run(
            command(*arguments, module=module),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        return Ended(finished.returncode, finished.stdout, finished.stderr)

    return run


def command(*arguments: object, module: str = "tvm_mutate") -> list[str]:
    """The command line that runs a module of the package."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def write_network(folder: Path, output: str = SCORES, name: str = "network") -> list[str]:
    """A small network with six inputs in the folder, as arguments of ``run``."""
    network, inputs = folder / f"{name}.py", folder / f"{name}.npy"
    network.write_text(NETWORK.replace("OUTPUT", output))
    np.save(inputs, np.random.default_rng(1).normal(size=(INPUTS, 3, 4, 4)).astype("float32"))
    return [str(network), "--inputs", str(inputs), "--workers", "1"]


@pytest.fixture
def network(tmp_path: Path) -> list[str]:
    """A small network with six inputs, as arguments of ``run``."""
    return write_network(tmp_path)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(ended: Ended, *parts: str, code: int = 1) -> None:
    """One clear sentence on stderr, nothing on stdout, the documented exit code."""
    assert ended.code == code, ended
    lines = ended.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), ended.err
    assert "Traceback" not in ended.err
    assert ended.out == ""
    for part in parts:
        assert part in lines[0], lines[0]
