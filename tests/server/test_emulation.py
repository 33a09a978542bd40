"""Setting up an emulated machine: the requirements and the error messages."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tvm_mutate.device import parse_device
from tvm_mutate.kernels import parse_target
from tvm_mutate.server import emulation


def said(what: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        emulation.main(what)
    return ended.value.code, capsys.readouterr().out


def test_the_target_of_the_emulated_machine_has_another_architecture(capsys: pytest.CaptureFixture[str]):
    code, target = said(["target"], capsys)
    assert code == 0
    assert parse_target(json.loads(target)).attrs["mtriple"] == "aarch64-linux-gnu"
    device = parse_device(json.dumps({"target": json.loads(target), "session": "rpc://127.0.0.1:9190/arm"}))
    assert device.toolchain.compiler == emulation.CROSS_COMPILER


def test_without_apt_or_root_the_error_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    code, _ = said(["set-up", "--folder", str(tmp_path / "a")], capsys)
    assert code == "error: the emulation of aarch64 needs Debian's packages, and apt-get is missing"
    monkeypatch.setattr(shutil, "which", lambda tool: f"/usr/bin/{tool}" if tool == "apt-get" else None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, _ = said(["set-up", "--folder", str(tmp_path / "b")], capsys)
    assert str(code).endswith("as root: apt-get install qemu-user-static g++-aarch64-linux-gnu")
    assert not any(tmp_path.iterdir())


def test_serving_before_the_set_up_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code, _ = said(["serve", "--folder", str(tmp_path)], capsys)
    assert "set it up first" in str(code)
    assert not emulation.is_ready(tmp_path)
