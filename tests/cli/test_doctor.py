"""``tvm-mutate doctor``: targets and devices that work, and those that do not."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from tvm.target import codegen

from tvm_mutate.campaign import CANARIES, Canary
from tvm_mutate.cli import doctor as module
from tvm_mutate.device import parse_device, why_no_session
from tvm_mutate.kernels import parse_target
from tvm_mutate.native import NativeLibrary

from .conftest import Ended, Tool


def rows_of(ended: Ended) -> list[list[str]]:
    """For each device its name and what is said of it."""
    parts = ended.out.split("\ndevice ")[1:]
    return [[line.strip().partition(": ")[2] if number else line for number, line in enumerate(part.splitlines())]
            for part in parts]  # fmt: skip


def test_targets_that_run_pass_their_canaries_and_other_rows_have_a_reason(tool: Tool):
    ended = tool("doctor", "--target", "llvm", "--target", "opencl", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    for name in ("apache-tvm", "python", "platform", "cores"):
        assert name in ended.out
    (llvm, opencl) = rows_of(ended)
    assert re.fullmatch(r"yes \(\d+ KiB\)", llvm[1])
    assert llvm[2:] == ["yes", "no-op: survived, sure kill: killed"]
    assert opencl[0] == "opencl" and opencl[1].startswith("yes (")
    assert opencl[2:] == ["no: no opencl device", "-"]


def test_a_crash_of_a_code_generator_is_a_row(tool: Tool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_code_size", lambda *_: os.kill(os.getpid(), signal.SIGSEGV))
    ended = tool("doctor", "--target", "metal", "--target", "llvm", "--quiet")
    assert ended.code == 0
    assert [row[1:] for row in rows_of(ended)] == [["no: SIGSEGV", "-", "-"]] * 2


def test_a_target_for_which_tvm_has_no_code_generator_is_a_row(process: Tool):
    ended = process("doctor", "--target", "vulkan", "--quiet")
    assert (ended.code, ended.err) == (0, "")
    (row,) = rows_of(ended)
    assert row[1].startswith("no: ") and "target.build.vulkan" in row[1].replace(" ", "")


def test_a_wrong_canary_is_shown_with_exit_code_three(tool: Tool, monkeypatch: pytest.MonkeyPatch):
    wrong = (Canary("no-op", CANARIES[0].mutant, "killed"), CANARIES[1])
    monkeypatch.setattr("tvm_mutate.campaign.campaign.CANARIES", wrong)
    ended = tool("doctor", "--target", "llvm", "--quiet")
    assert ended.code == 3
    assert "FAILED: the no-op canary of alexnet on llvm came out survived, not killed" in rows_of(ended)[0][3]


def test_a_missing_c_compiler_is_named(tool: Tool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    ended = tool("doctor", "--target", "c", "--quiet")
    assert ended.code == 0
    assert rows_of(ended)[0][2].startswith("no: its code needs a C compiler, and 'no-such-compiler'")


def test_a_remote_device_is_shown_with_and_without_its_server(tool: Tool, device_servers):
    ended = tool("doctor", "--device", device_servers.device(), "--quiet")
    (row,) = rows_of(ended)
    assert (ended.code, row[0], row[3]) == (0, "board", "-")
    assert row[2].startswith(f"no: device board: the tracker at {device_servers.tracker}")
    device_servers.start()
    assert why_no_session(parse_device(device_servers.device())) == ""
    ended = tool("doctor", "--device", device_servers.device(), "--quiet")
    assert rows_of(ended)[0][2:] == ["yes", "no-op: survived, sure kill: killed"]


def test_this_processor_runs_code_for_itself():
    assert module.why_not_on_processor(parse_target("llvm")) is None
    itself = {"kind": "llvm", "mcpu": str(codegen.llvm_get_system_cpu())}
    assert module.why_not_on_processor(parse_target(itself)) is None


@pytest.mark.skipif("__import__('platform').machine() != 'x86_64'")
def test_instructions_that_the_processor_lacks_are_named(monkeypatch: pytest.MonkeyPatch):
    here = {**module.host_features(), "avx512f": False, "avx2": True, "fma": True, "pku": False}
    monkeypatch.setattr(module, "host_features", lambda: here)
    assert (
        module.why_not_on_processor(parse_target({"kind": "llvm", "mcpu": "x86-64-v4"}))
        == "this processor lacks avx512f"
    )
    assert (
        module.why_not_on_processor(parse_target({"kind": "llvm", "mattr": ["+avx512f"]}))
        == "this processor lacks avx512f"
    )
    assert module.why_not_on_processor(parse_target({"kind": "llvm", "mcpu": "x86-64"})) is None


def test_a_target_runs_if_llvm_cannot_list_the_features_of_the_processor(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "host_features", dict)
    assert module.why_not_on_processor(parse_target("llvm")) is None


def test_code_for_another_architecture_does_not_run_here():
    other = "x86_64" if module.host_triple().startswith("aarch64") else "aarch64"
    told = module.why_not_on_processor(parse_target({"kind": "llvm", "mtriple": f"{other}-linux-gnu"}))
    assert told is not None and told.startswith(f"code for {other}, on ")


def native_line(ended: Ended) -> str:
    """What the doctor says of the native library."""
    return ended.out.partition("native library: ")[2].partition("\ndevice ")[0]


def test_the_native_library_is_shown_with_its_version_and_operators(tool: Tool, monkeypatch: pytest.MonkeyPatch):
    here = NativeLibrary(Path("library.so"), built_for="0.1.14.post1")
    monkeypatch.setattr(module, "native_library", lambda: here)
    monkeypatch.setattr(module, "native_operators", lambda: ("tir.drop-store", "tir.swap-compare"))
    told = native_line(tool("doctor", "--target", "vulkan", "--quiet"))
    assert told == "yes, for apache-tvm-ffi 0.1.14.post1; 2 operators: tir.drop-store, tir.swap-compare"


def test_a_missing_native_library_is_shown_with_the_reason(tool: Tool, monkeypatch: pytest.MonkeyPatch):
    absent = NativeLibrary(Path("library.so"), obstacle="the native library was not built")
    monkeypatch.setattr(module, "native_library", lambda: absent)
    ended = tool("doctor", "--target", "vulkan", "--quiet")
    assert ended.code == 0
    assert native_line(ended) == "no: the native library was not built"
