"""The server of a device outlives what runs on it, and says what became of that."""

from __future__ import annotations

import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tvm_ffi
from tvm import rpc
from tvm.error import RPCError, RPCSessionTimeoutError

from tvm_mutate.server.serving import main

SERVING = Path(__file__).resolve().parents[2] / "tvm_mutate" / "server" / "serving.py"
KERNELS = """
#include <tvm/ffi/c_api.h>
int __tvm_ffi_answer(void* s, TVMFFIAny* a, int n, TVMFFIAny* r) { r->type_index = 1; r->v_int64 = 42; return 0; }
int __tvm_ffi_crash(void* s, TVMFFIAny* a, int n, TVMFFIAny* r) { *(volatile int*)0 = 1; return 0; }
int __tvm_ffi_hang(void* s, TVMFFIAny* a, int n, TVMFFIAny* r) { for (volatile int i = 0;; i++); return 0; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a kernel that answers, one that crashes and one that hangs."""
    folder = tmp_path_factory.mktemp("kernels")
    source, library = folder / "kernels.c", folder / "kernels.so"
    source.write_text(KERNELS)
    includes = [tvm_ffi.libinfo.find_include_path(), tvm_ffi.libinfo.find_dlpack_include_path()]
    options = [option for path in includes for option in ("-I", path)]
    subprocess.run(["gcc", "-shared", "-fPIC", *options, "-o", library, source], check=True)
    return library


def session(device_servers, seconds: float = 0) -> rpc.RPCSession:
    host, port = device_servers.tracker.split(":")
    return rpc.connect_tracker(host, int(port)).request(device_servers.key, session_timeout=seconds)


def call(device_servers, library: Path, kernel: str, seconds: float = 0) -> int:
    opened = session(device_servers, seconds)
    opened.upload(str(library))
    return opened.load_module(library.name)[kernel]()


def test_after_a_segmentation_fault_the_server_says_so_and_goes_on(device_servers, library: Path):
    server = device_servers.start()
    for _ in range(3):
        with pytest.raises(RPCError, match="the process of the session died of SIGSEGV"):
            call(device_servers, library, "crash")
        assert call(device_servers, library, "answer") == 42
    assert server.poll() is None


def test_a_session_that_hangs_is_ended_at_its_limit_and_the_server_goes_on(device_servers, library: Path):
    device_servers.start()
    with pytest.raises(RPCSessionTimeoutError, match="after 1 s"):
        call(device_servers, library, "hang", seconds=1)
    assert call(device_servers, library, "answer") == 42


def test_a_server_ends_any_session_at_its_own_limit(device_servers, library: Path):
    device_servers.start("--longest", "1")
    with pytest.raises(RPCSessionTimeoutError, match="after 1 s"):
        call(device_servers, library, "hang")
    assert call(device_servers, library, "answer") == 42


def test_a_session_that_hangs_ends_with_its_client(device_servers, library: Path):
    device_servers.start()
    client = os.fork()
    if client == 0:
        try:
            call(device_servers, library, "hang")
        finally:
            os._exit(0)
    time.sleep(1.5)
    os.kill(client, signal.SIGKILL)
    os.waitpid(client, 0)
    assert call(device_servers, library, "answer") == 42


def test_a_killed_server_ends_its_session_and_another_server_continues(device_servers, library: Path):
    server = device_servers.start()
    opened = session(device_servers)
    server.kill()
    server.wait()
    with pytest.raises(RuntimeError):
        opened.listdir(".")
    device_servers.start()
    assert call(device_servers, library, "answer") == 42


def test_servers_of_one_key_serve_side_by_side(device_servers, library: Path):
    for _ in range(2):
        device_servers.start()
    opened = [session(device_servers) for _ in range(2)]
    for each in opened:
        each.upload(str(library))
        assert each.load_module(library.name)["answer"]() == 42


def test_a_client_that_sends_nonsense_blocks_no_other_client(device_servers, library: Path):
    server = device_servers.start()
    assert call(device_servers, library, "answer") == 42
    (port,) = re.findall(rb"serving on 127.0.0.1:(\d+)", device_servers.log(0).read_bytes())
    magic = b"\x71\xf2\x0f\x00"
    for said in (b"GET / HTTP/1.0\r\n\r\n", magic + b"\xff\xff\xff\x7f", magic + b"\x02\x00\x00\x00\xff\xfe", b""):
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.sendall(said)
    assert call(device_servers, library, "answer") == 42
    assert server.poll() is None


def test_uploads_are_removed_with_their_session_and_those_of_a_killed_server_by_the_next(
    device_servers, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    server = device_servers.start()
    opened = session(device_servers)
    opened.upload(str(library))
    assert list((tmp_path / "temporary").rglob(library.name))
    server.kill()
    server.wait()
    device_servers.start()
    assert call(device_servers, library, "answer") == 42
    deadline = time.monotonic() + 10
    while list((tmp_path / "temporary").rglob(library.name)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list((tmp_path / "temporary").rglob(library.name))


def modules_of(path: Path) -> set[str]:
    """The packages that a file imports, those of the standard library apart."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).partition(".")[0])
    return modules - sys.stdlib_module_names


def test_the_file_runs_by_itself_with_the_standard_library_and_tvm_only(tmp_path: Path):
    assert modules_of(SERVING) == {"tvm"}
    assert modules_of(SERVING.with_name("emulation.py")) == set()
    copy = tmp_path / "serving.py"
    copy.write_bytes(SERVING.read_bytes())
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    finished = subprocess.run(
        [sys.executable, str(copy), "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "--tracker HOST:PORT" in finished.stdout


def test_listening_beyond_loopback_needs_an_option_and_prints_a_warning(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, str(SERVING), "--listen", "0.0.0.0", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout.readline().startswith("serving on 0.0.0.0:")
        server.terminate()
        _, said = server.communicate()
    assert "TVM RPC has no authentication" in said
    assert server.returncode == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--tracker", "nowhere"], "--tracker 'nowhere' is not HOST:PORT"),
        (["--tracker", "host:99999", "--key", "k"], "is not HOST:PORT"),
        (["--tracker", "host:9190"], "--tracker needs --key"),
        (["--listen", "203.0.113.77"], "cannot listen on 203.0.113.77"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
