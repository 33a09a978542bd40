"""Campaigns over RPC and on another architecture: kernels crash and hang, devices go away and come back."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from msgspec.structs import replace

from tests.rows_by_hand import without
from tvm_mutate.campaign import Reporter, Subject
from tvm_mutate.device import parse_device, why_no_session
from tvm_mutate.errors import CampaignInterruptedError
from tvm_mutate.results import DeviceRow, MutantRow, Results
from tvm_mutate.server.emulation import TARGET

from .conftest import campaign, prepare_network

KILLED = "graph.replace-activation{to=tanh}@main#*"
SURVIVED = "tir.swap-compare{from=gt,to=ge}@*#*"
EQUIVALENT = "tir.scale-store{epsilon=1e-08}@*#*"
HARMLESS = (KILLED, SURVIVED, EQUIVALENT, "tir.swap-compare{from=lt,to=gt}@*#0", "tir.scale-store{epsilon=0.5}@*#*")
CRASH, HANG = "tir.hostile-crash@*#*", "tir.hostile-hang@*#*"
HOSTILE = (CRASH, HANG)
LIMIT = 2.0
MEASURED = ("build_seconds", "run_seconds", "kernel_seconds", "latency")
BY_CONTENT = ("evaluation", "evaluation_reason", "code_digest", "duplicate_of", "rung")
BY_CONTENT += ("kernel_runs", "masked_by", "undefined")


def judged(results, device: str = "board") -> dict[str, MutantRow]:
    """What was found of each mutant on a device, without what is measured and what single kernels tell."""
    apart = {*MEASURED, *BY_CONTENT, "device"}
    rows = [row for row in results.mutants if row.device == device]
    return {row.id: without(row, apart) for row in rows}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The results of the harmless mutants on this machine, without a server."""
    folder = tmp_path_factory.mktemp("local")
    return campaign(prepare_network(folder), folder / "out", *HARMLESS).run()


class AtStep(Reporter):
    """Does something after so many mutants were judged."""

    def __init__(self, step: int, what: Callable[[], object]) -> None:
        self._left, self._what, self._counting = step, what, False

    def phase(self, name: str, total: int) -> None:
        self._counting = name == "mutants"

    def step(self, result: str) -> None:
        self._left -= self._counting
        if self._counting and self._left == 0:
            self._what()


@contextlib.contextmanager
def killed_in_a_session(device_servers, number: int) -> Iterator[threading.Event]:
    """Kills the server while it is in its session of this number, and starts another one a little later."""
    done, stopped = threading.Event(), threading.Event()

    def watch() -> None:
        server, seen = psutil.Process(device_servers.servers[0].pid), set()
        while not stopped.is_set():
            seen |= {child.pid for child in server.children()}
            if len(seen) == number:
                device_servers.kill()
                time.sleep(1)
                device_servers.start()
                done.set()
                return
            time.sleep(0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield done
    finally:
        stopped.set()
        thread.join()


def test_a_remote_device_gives_the_bits_and_verdicts_of_a_local_one_whatever_its_kernels_do(
    subject: Subject, tmp_path: Path, hostile_package: None, device_servers, local: Results
):
    device_servers.start()
    devices = (device_servers.device(),)
    mutants = (HARMLESS[0], CRASH, HANG, *HARMLESS[1:])
    results = campaign(subject, tmp_path / "out", *mutants, devices=devices, least_seconds=LIMIT).run()
    remote = judged(results)
    assert judged(local, "llvm") == {key: remote[key] for key in HARMLESS}
    assert (remote[CRASH].outcome, remote[CRASH].verdict) == ("crash", "killed")
    assert remote[CRASH].reason.endswith("SIGSEGV on board")
    assert (remote[HANG].outcome, remote[HANG].verdict) == ("timeout", "killed")
    assert [canary.verdict for canary in results.canaries] == ["survived", "killed"]
    assert {row.evaluation for row in results.mutants} == {"content"}
    assert device_servers.servers[0].poll() is None
    (golden,) = results.baselines
    assert golden.labels == local.baselines[0].labels
    assert golden.noise_floor == 0.0
    session = f"rpc://{device_servers.tracker}/{device_servers.key}"
    assert results.devices == (DeviceRow(name="board", target="llvm", session=session),)


@pytest.mark.parametrize(("rebuild", "session"), [(False, 4), (True, 5)])
def test_a_server_that_is_killed_in_the_middle_and_comes_back_changes_no_verdict(
    subject: Subject, tmp_path: Path, hostile_package: None, device_servers, local: Results, rebuild: bool, session: int
):
    device_servers.start()
    devices, mutants = (device_servers.device(),), (*HARMLESS[:3], *HOSTILE)
    options = {"devices": devices, "least_seconds": LIMIT, "specification": {"rebuild": rebuild}}
    # Before the mutants come the question whether it answers, the unmutated build and, where all is rebuilt, canaries;
    # else the kernels one by one, and then one session for the canaries and the mutants up to the first hostile one.
    with killed_in_a_session(device_servers, session) as killed:
        disturbed = campaign(subject, tmp_path / "a", *mutants, **options).run()
        assert killed.is_set()
    found, expected = judged(disturbed), judged(local, "llvm")
    assert {key: found[key] for key in mutants[:3]} == {key: expected[key] for key in mutants[:3]}
    assert {row.evaluation for row in disturbed.mutants} == {"rebuild" if rebuild else "content"}
    assert [found[key].outcome for key in HOSTILE] == ["crash", "timeout"]


def test_mutants_of_a_device_that_stays_away_are_lost_and_the_same_command_judges_them_later(
    subject: Subject, tmp_path: Path, device_servers
):
    device_servers.start()
    assert why_no_session(parse_device(device_servers.device())) == ""
    devices = ("llvm", device_servers.device(patience=3))
    reporter = AtStep(2, device_servers.kill)  # a worker stays with the last canaries' device
    results = campaign(subject, tmp_path / "out", *HARMLESS, devices=devices, reporter=reporter).run()
    local, remote = judged(results, "llvm"), judged(results)
    assert {row.outcome for row in local.values()} == {"completed"}
    lost = [row for row in remote.values() if row.outcome == "device lost"]
    assert lost
    assert all(row.verdict is None and device_servers.key in row.reason for row in lost)
    assert 1 <= len(lost) <= len(HARMLESS) - 2
    device_servers.start()
    assert why_no_session(parse_device(device_servers.device())) == ""
    steps: list[str] = []
    reporter = AtStep(0, lambda: None)
    reporter.step = steps.append  # type: ignore[method-assign]
    again = judged(campaign(subject, tmp_path / "out", *HARMLESS, devices=devices, reporter=reporter).run())
    local = {key: replace(row, place_digest=again[key].place_digest) for key, row in local.items()}
    assert again == local
    judged_again = [word for word in steps if word in ("killed", "survived", "equivalent")]
    assert len(judged_again) == 2 * len(devices) + len(lost)  # the canaries of each device, and what was lost


def test_a_device_that_is_not_there_from_the_start_loses_its_mutants_and_the_others_finish(
    subject: Subject, tmp_path: Path, device_servers
):
    devices = ("llvm", device_servers.device(patience=2))
    results = campaign(subject, tmp_path / "out", *HARMLESS[:2], devices=devices).run()
    assert {row.outcome for row in judged(results, "llvm").values()} == {"completed"}
    assert {(row.outcome, row.verdict) for row in judged(results).values()} == {("device lost", None)}
    assert len(judged(results)) == 2
    assert {row.device for row in (*results.baselines, *results.canaries)} == {"llvm"}
    assert results.discrepancies == results.agreements == ()
    device_servers.start()
    assert why_no_session(parse_device(device_servers.device())) == ""
    later = campaign(subject, tmp_path / "out", *HARMLESS[:2], devices=devices).run()
    assert judged(later) == judged(later, "llvm")
    assert [canary.verdict for canary in later.canaries] == ["survived", "killed"] * 2


def test_a_campaign_that_finds_no_device_says_so_and_leaves_nothing(subject: Subject, tmp_path: Path, device_servers):
    with pytest.raises(CampaignInterruptedError, match=f"no server of the key '{device_servers.key}'"):
        campaign(subject, tmp_path / "out", KILLED, devices=(device_servers.device(patience=3),)).run()
    assert not (tmp_path / "out").exists()


def test_workers_share_the_servers_of_one_key(subject: Subject, tmp_path: Path, device_servers, local: Results):
    for _ in range(2):
        device_servers.start()
    shared = campaign(subject, tmp_path / "two", *HARMLESS, devices=(device_servers.device(),))
    shared.workers = 2
    assert judged(shared.run()) == judged(local, "llvm")
    used = [device_servers.log(number).read_text().count("begins") for number in range(2)]
    assert all(used)


def test_code_in_c_is_compiled_here_and_runs_there(subject: Subject, tmp_path: Path, device_servers, local: Results):
    device_servers.start()
    session = f"rpc://{device_servers.tracker}/{device_servers.key}"
    board = json.dumps({"kind": "c", "session": session, "compiler": "gcc", "flags": ["-O1"]})
    results = campaign(subject, tmp_path / "out", KILLED, SURVIVED, devices=(f"board={board}",)).run()
    here, there = judged(local, "llvm"), judged(results)
    assert [row.verdict for row in there.values()] == ["killed", "survived"]
    assert [row.labels for row in there.values()] == [here[mutant].labels for mutant in there]
    assert results.devices == (
        DeviceRow(name="board", target='{"kind":"c"}', session=session, compiler="gcc", flags=("-O1",)),
    )


@pytest.mark.aarch64
def test_kernels_run_crash_and_hang_on_the_other_architecture_as_on_this_one(
    subject: Subject, tmp_path: Path, hostile_package: None, device_servers, emulated_machine: Path, local: Results
):
    server = device_servers.start(emulated=emulated_machine)
    arm = f"arm=rpc://{device_servers.tracker}/{device_servers.key}?patience=300&target={quote(TARGET)}"
    mutants = (KILLED, CRASH, HANG, SURVIVED)
    results = campaign(subject, tmp_path / "out", *mutants, devices=(arm,), least_seconds=4.0).run()
    assert {row.id: (row.outcome, row.verdict) for row in results.mutants} == {
        KILLED: ("completed", "killed"),
        CRASH: ("crash", "killed"),
        HANG: ("timeout", "killed"),
        SURVIVED: ("completed", "survived"),
    }
    (here,), (there,) = local.baselines, results.baselines
    assert here.labels == there.labels
    assert here.digest != there.digest
    assert there.noise_floor == 0.0
    assert server.poll() is None
