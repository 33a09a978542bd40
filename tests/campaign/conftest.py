"""A small network for campaigns, made in seconds, and hostile operators as an installed package."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tvm_mutate
from tvm_mutate.campaign import Campaign, Specification, Subject, prepare_subject
from tvm_mutate.device import parse_device

NETWORK = """
import numpy as np
import tvm
from tvm.script import ir as I
from tvm.script import relax as R

W = np.random.default_rng(7).normal(size=(4, 3, 3, 3)).astype("float32")
D = np.random.default_rng(8).normal(size=(64, 5)).astype("float32")


def model():
    from tvm import relax

    builder = relax.BlockBuilder()
    x = relax.Var("x", R.Tensor((1, 3, 4, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            conv = builder.emit(relax.op.nn.conv2d(x, relax.const(W), padding=[1, 1]))
            relu = builder.emit(relax.op.nn.relu(conv))
            flat = builder.emit(relax.op.reshape(relu, (1, 64)))
            out = builder.emit_output(relax.op.matmul(flat, relax.const(D)))
        builder.emit_func_output(out)
    return builder.get()
"""
INPUTS = 6


@pytest.fixture(autouse=True)
def workers_find_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes import the package under test, installed or not."""
    folder = str(Path(tvm_mutate.__file__).parents[1])
    paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def prepare_network(folder: Path) -> Subject:
    """A network of three kernels with six random inputs, in the folder."""
    network = folder / "network.py"
    network.write_text(NETWORK)
    inputs = folder / "inputs.npy"
    np.save(inputs, np.random.default_rng(1).normal(size=(INPUTS, 3, 4, 4)).astype("float32"))
    prepared = folder / "prepared"
    prepared.mkdir()
    return prepare_subject(str(network), inputs, prepared)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return prepare_network(tmp_path)


@pytest.fixture
def hostile_package(install_operators: Callable[[Path], None]) -> None:
    """The hostile operators, installed for this process and its workers."""
    install_operators(Path(__file__).with_name("hostile_operators.py"))


def campaign(
    subject: Subject, output: Path, *mutants: str, devices: tuple[str, ...] = ("llvm",), **options
) -> Campaign:
    """A campaign of the mutants with these ids, by one worker."""
    specification = Specification(mutants=mutants, **options.pop("specification", {}))
    parsed = [parse_device(device) for device in devices]
    return Campaign([subject], parsed, specification, output, workers=1, **options)
