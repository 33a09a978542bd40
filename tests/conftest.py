"""What all tests share."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Before TVM is imported anywhere: tests fork, and forked children cannot use a thread pool of their parent.
os.environ["TVM_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from tvm_mutate.server.emulation import default_folder, is_ready, serving_command

settings.register_profile("tvm_mutate", deadline=None, max_examples=50)
settings.load_profile("tvm_mutate")


TESTS = Path(__file__).parent
# The files of `pytest -m fast`: tests of every layer that together take less than a minute.
FAST = (
    "test_house.py",
    "test_contributing.py",
    "activation/test_[ac]*.py",
    "campaign/test_engine.py",
    "campaign/test_journal.py",
    "campaign/test_plan.py",
    "campaign/test_pool.py",
    "campaign/test_progress.py",
    "campaign/test_worker.py",
    "cli/test_bad_input.py",
    "cli/test_operators.py",
    "device/test_devices.py",
    "evaluate/test_[er]*.py",
    "kernels/test_[cdks]*.py",
    "model/test_[inp]*.py",
    "mutant/*.py",
    "native/test_*library.py",
    "operators/test_every_operator.py",
    "oracle/*.py",
    "passes/test_co[dn]*.py",
    "passes/test_equivalence.py",
    "pipeline/test_pipeline_faults.py",
    "report/*.py",
    "results/*.py",
    "server/test_emulation.py",
    "studies/test_pa*.py",
    "suite/test_builds.py",
    "suite/test_kernel_calls.py",
)
# Tests of these files that start processes or take seconds: not part of the fast subset.
NOT_FAST = (
    "*_process*",
    "*after_a_kill*",
    "*padding_condition_that_lets_reads*",
    "*second_campaign*",
    "*replaces_a_dead_one*",
)


def is_fast(path: Path) -> bool:
    name = path.relative_to(TESTS).as_posix()
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in FAST)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves slow files unread for ``-m fast``: importing all test files takes longer than many tests."""
    only_fast = config.getoption("markexpr") == "fast" and collection_path.name.startswith("test_")
    return True if only_fast and TESTS in collection_path.parents and not is_fast(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        slow = any(fnmatch.fnmatchcase(item.nodeid, pattern) for pattern in NOT_FAST)
        if TESTS in item.path.parents and is_fast(item.path) and not slow:
            item.add_marker("fast")


@pytest.fixture
def install_operators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Installs a file with OPERATORS as a third party's package, for this process and those that it starts."""

    def install(source: Path) -> None:
        name = source.stem
        folder = tmp_path / f"site-{name}"
        information = folder / f"{name}-1.0.dist-info"
        information.mkdir(parents=True)
        shutil.copy(source, folder / f"{name}_package.py")
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[tvm_mutate.operators]\n{name} = {name}_package:OPERATORS\n")
        monkeypatch.syspath_prepend(str(folder))
        paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    return install


@dataclass(frozen=True)
class Gate:
    """Where mutants of ``tir.gated-store`` wait while it is closed, in the child that evaluates them."""

    folder: Path

    def close(self) -> None:
        (self.folder / "closed").touch()

    def open(self) -> None:
        (self.folder / "closed").unlink()

    def is_reached(self) -> bool:
        return (self.folder / "reached").exists()


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install_operators: Callable[[Path], None]) -> Gate:
    """An open gate, with its operator installed."""
    install_operators(Path(__file__).with_name("gated_operator.py"))
    folder = tmp_path / "gate"
    folder.mkdir()
    monkeypatch.setenv("TVM_MUTATE_TEST_GATE", str(folder))
    return Gate(folder)


@pytest.fixture
def emulated_machine() -> Path:
    """The folder of an emulated aarch64 machine; skips where none was set up."""
    folder = default_folder()
    if not is_ready(folder):
        pytest.skip(f"no emulated machine in {folder}; set one up with: python -m tvm_mutate.server.emulation set-up")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the pretrained models and images; skips where it is missing."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("TVM_MUTATE_DATA", default))
    if not (folder / "models.json").is_file():
        pytest.skip(f"pretrained models are missing at {folder}; set TVM_MUTATE_DATA to their folder")
    return folder


class DeviceServers:
    """Servers of one key at a tracker on loopback, which a test starts and kills."""

    def __init__(self, folder: Path, tracker: str) -> None:
        self._folder, self.tracker = folder, tracker
        self.key = f"board-{uuid.uuid4().hex[:8]}"  # of this test alone
        self.servers: list[subprocess.Popen[bytes]] = []

    def device(self, patience: float = 60) -> str:
        """A device on these servers."""
        return f"board=rpc://{self.tracker}/{self.key}?target=llvm&patience={patience:g}"

    def log(self, number: int) -> Path:
        """What a server said."""
        return self._folder / f"server-{number}.log"

    def start(self, *options: str, emulated: Path | None = None) -> subprocess.Popen[bytes]:
        """A server, on this machine or on the ``emulated`` one in a folder; it takes a moment to get ready."""
        said = ["--port", "0", "--tracker", self.tracker, "--key", self.key, *options]
        command = [sys.executable, "-m", "tvm_mutate.server", *said]
        if emulated is not None:
            command = serving_command(emulated, said)
        with self.log(len(self.servers)).open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        self.servers.append(server)
        return server

    def kill(self) -> None:
        """Kills all servers as nothing can be prepared for."""
        for server in self.servers:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def tracker() -> Iterator[str]:
    """The address of TVM's tracker on loopback; skips where it has not what it needs."""
    pytest.importorskip("tornado", reason="TVM's tracker needs tornado")
    from tvm.rpc.tracker import Tracker

    running = Tracker("127.0.0.1", port=9300, port_end=9600, silent=True)
    yield f"127.0.0.1:{running.port}"
    running.terminate()


@pytest.fixture
def device_servers(tmp_path: Path, tracker: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeviceServers]:
    """No server yet, of a key that nobody has."""
    paths = [str(Path(__file__).resolve().parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    servers = DeviceServers(tmp_path, tracker)
    yield servers
    servers.kill()
