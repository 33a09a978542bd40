"""A campaign over two architectures: this machine's, and aarch64 under qemu."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tvm_mutate.campaign import Subject
from tvm_mutate.server.emulation import TARGET

from .conftest import campaign

KILLED = "graph.replace-activation{to=tanh}@main#*"
SURVIVED = "tir.swap-compare{from=gt,to=ge}@*#*"
CRASH, HANG = "tir.hostile-crash@*#*", "tir.hostile-hang@*#*"


@pytest.mark.aarch64
def test_kernels_run_crash_and_hang_on_the_other_architecture_as_on_this_one(
    subject: Subject, tmp_path: Path, hostile_package: None, device_servers, emulated_machine: Path
):
    server = device_servers.start(emulated=emulated_machine)
    arm = f"arm=rpc://{device_servers.tracker}/{device_servers.key}?patience=120&target={quote(TARGET)}"
    mutants = (KILLED, CRASH, HANG, SURVIVED)
    results = campaign(subject, tmp_path / "out", *mutants, devices=("llvm", arm), least_seconds=4.0).run()
    found = {(row.device, row.id): (row.outcome, row.verdict) for row in results.mutants}
    for device in ("llvm", "arm"):
        assert found[device, KILLED] == ("completed", "killed")
        assert found[device, CRASH] == ("crash", "killed")
        assert found[device, HANG] == ("timeout", "killed")
        assert found[device, SURVIVED] == ("completed", "survived")
    here, there = results.baselines
    assert here.labels == there.labels
    assert here.digest != there.digest
    assert there.noise_floor == 0.0
    assert server.poll() is None
