"""A child process asks for the GPU: the children of a process that asks cannot use the GPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import tvm

from tvm_mutate.device import parse_device
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import cuda_architecture, parse_target

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a GPU, or none, in the place of this machine's; gives the file with the processes that ask for it."""
    asked = tmp_path / "asked"
    asked.touch()

    def put(exist: bool, compute_version: str | None = None) -> Path:
        def cuda() -> SimpleNamespace:
            with asked.open("a") as file:
                file.write(f"{os.getpid()}\n")
            return SimpleNamespace(exist=exist, compute_version=compute_version)

        monkeypatch.setattr(tvm, "cuda", cuda)
        return asked

    cuda_architecture.cache_clear()
    yield put
    cuda_architecture.cache_clear()


def test_a_child_asks_the_gpu_once_for_its_architecture(install: Install):
    asked = install(exist=True, compute_version="9.0")
    targets = {str(parse_target(text).attrs["arch"]) for text in ("cuda", '{"kind":"cuda"}', {"kind": "cuda"})}
    assert targets == {"sm_90"}
    assert parse_device("cuda").runtime() == tvm.device("cuda")
    assert len(set(asked.read_text().split())) == 1
    assert str(os.getpid()) not in asked.read_text().split()


def test_a_given_architecture_is_used_without_asking_the_gpu(install: Install):
    asked = install(exist=True, compute_version="9.0")
    assert parse_target('{"kind":"cuda","arch":"sm_80"}').attrs["arch"] == "sm_80"
    assert not asked.read_text()


@pytest.mark.parametrize("state", [{"exist": False}, {"exist": True, "compute_version": None}], ids=["none", "dead"])
def test_without_an_answer_there_is_no_gpu(install: Install, state: dict[str, object]):
    install(**state)
    assert parse_target("cuda").attrs["arch"] == "sm_50"
    with pytest.raises(UsageError, match="nothing here runs code for cuda"):
        parse_device("cuda").runtime()
