from __future__ import annotations

import contextlib
import errno
import hashlib
import http.server
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import BinaryIO

import pytest

from tests.model.model_files import tiny_model
from tvm_mutate.errors import UsageError
from tvm_mutate.model import REAL_MODELS, load_model, real_model_path, real_models

CONTENT = tiny_model().SerializeToString()
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = "resnet152-v2-7.onnx"


class Server(http.server.ThreadingHTTPServer):
    """Serves one file, in one of several ways, and keeps count."""

    daemon_threads = True
    behaviour = "whole"
    requests: int = 0
    content: bytes = CONTENT

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/models"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        behaviour = self.server.behaviour
        if self.path != f"/models/{FILE}" or behaviour == "absent":
            self.send_error(404)
            return
        if behaviour == "overloaded":
            self.send_error(503)
            return
        self.send_response(200)
        if behaviour != "unsized":
            self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        whole = behaviour in ("whole", "unsized")
        self.wfile.write(self.server.content if whole else self.server.content[:100])
        self.wfile.flush()
        if behaviour == "hanging":
            threading.Event().wait(2)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, small_resnet: None) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            monkeypatch.setenv("TVM_MUTATE_MODEL_URL", running.url + "/")
            yield running
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def small_resnet(monkeypatch, tmp_path):
    """The digest of a file that a test can have, and no settings or proxies from outside."""
    entries = {**REAL_MODELS, "resnet": replace(REAL_MODELS["resnet"], digest=DIGEST)}
    monkeypatch.setattr(real_models, "REAL_MODELS", MappingProxyType(entries))
    monkeypatch.delenv("TVM_MUTATE_MODEL_URL", raising=False)
    monkeypatch.setenv("TVM_MUTATE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def cached(tmp_path) -> Path:
    return tmp_path / "cache" / "models" / FILE


def refused(directory: Path | None = None) -> str:
    with pytest.raises(UsageError) as raised:
        real_model_path("resnet", directory)
    message = str(raised.value)
    assert "\n" not in message
    return message


def left_behind(cached: Path) -> list[str]:
    return sorted(each.name for each in cached.parent.iterdir())


def test_a_model_is_downloaded_once_and_loaded_with_its_recipe(server, cached):
    model = load_model("real://resnet")
    assert (model.name, model.source, model.digest) == ("resnet152-v2-7", "real://resnet", DIGEST)
    assert model.preprocessing == REAL_MODELS["resnet"].preprocessing
    assert real_model_path("resnet") == cached
    assert server.requests == 1
    assert left_behind(cached) == [FILE]


def test_the_size_of_a_download_may_be_unknown(server):
    server.behaviour = "unsized"
    assert real_model_path("resnet").read_bytes() == CONTENT


def test_a_corrupted_file_in_the_cache_is_downloaded_again(server, cached):
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT[:-1])
    assert real_model_path("resnet").read_bytes() == CONTENT
    assert server.requests == 1


def test_a_wrong_digest_is_an_error_with_both_digests_and_nothing_is_kept(server, cached):
    server.content = CONTENT + b"x"
    message = refused()
    assert DIGEST in message and hashlib.sha256(server.content).hexdigest() in message
    assert left_behind(cached) == []


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("broken", f"the connection broke after 100 of {len(CONTENT)} bytes"),
        ("absent", "the server answered 404 Not Found; check the address"),
        ("overloaded", "the server answered 503"),
    ],
)
def test_a_failing_server_is_one_sentence(server, cached, behaviour, expected):
    server.behaviour = behaviour
    message = refused()
    assert message.startswith(f"{server.url}/{FILE}: ")
    assert expected in message
    assert left_behind(cached) == []


def test_a_hanging_server_is_given_up(server, cached):
    server.behaviour = "hanging"
    with pytest.raises(UsageError, match="the connection broke"):
        real_models.download(f"{server.url}/{FILE}", cached, DIGEST, timeout=0.2)
    assert left_behind(cached) == []


def test_a_missing_server_is_named(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("TVM_MUTATE_MODEL_URL", f"http://127.0.0.1:{port}")
    assert "cannot be reached" in refused()
    monkeypatch.setenv("TVM_MUTATE_MODEL_URL", "somewhere")
    assert "is no URL" in refused()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full, which is always full")
def test_a_full_disk_is_an_error_and_nothing_is_kept(server, cached, monkeypatch):
    def always_full(descriptor: int, mode: str, buffering: int) -> BinaryIO:
        os.close(descriptor)
        return open("/dev/full", mode, buffering=buffering)  # noqa: PTH123

    monkeypatch.setattr(real_models.os, "fdopen", always_full)
    message = refused()
    assert message.startswith(f"{cached}: cannot be written, the disk is full")
    assert left_behind(cached) == []


def test_a_file_beyond_the_limit_of_file_sizes_is_an_error_and_nothing_is_kept(server, cached):
    with file_size_limit(len(CONTENT) // 2):
        message = refused()
    assert "the file is too large" in message
    assert left_behind(cached) == []


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_cache_that_cannot_be_made_is_named(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TVM_MUTATE_CACHE", str(tmp_path / "file"))
    message = refused()
    assert f"{tmp_path / 'file' / 'models' / FILE}: cannot be written" in message
    assert server.requests == 0


def test_a_folder_of_the_user_is_searched_by_name_and_by_digest(tmp_path):
    folder = tmp_path / "mine"
    (folder / "resnet").mkdir(parents=True)
    (folder / "other.onnx").write_bytes(b"other")
    message = refused(folder)
    assert f"holds no {FILE}" in message and "1 .onnx files looked at" in message
    (folder / "resnet" / "renamed.onnx").write_bytes(CONTENT)
    assert real_model_path("resnet", folder).name == "renamed.onnx"
    (folder / FILE).write_bytes(CONTENT)
    assert real_model_path("resnet", folder) == folder / FILE


def test_a_file_of_the_right_name_and_other_contents_is_an_error_with_both_digests(tmp_path):
    (tmp_path / FILE).write_bytes(b"other")
    message = refused(tmp_path)
    assert DIGEST in message and hashlib.sha256(b"other").hexdigest() in message
    assert "is no folder" in refused(tmp_path / "absent")


def test_without_the_hub_s_client_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    message = refused()
    assert "pip install 'tvm-mutate[hub]'" in message and "--real" in message


class Hub(SimpleNamespace):
    """Stands in for the client: writes a file where it is told to, or fails."""

    def __init__(self, content: bytes | Exception) -> None:
        super().__init__(asked=[], disabled=False)
        self.utils = SimpleNamespace(
            are_progress_bars_disabled=lambda: self.disabled,
            disable_progress_bars=lambda: setattr(self, "disabled", True),
            enable_progress_bars=lambda: setattr(self, "disabled", False),
        )
        self.content = content

    def hf_hub_download(self, repository: str, file_name: str, local_dir: str) -> str:
        self.asked.append((repository, file_name, self.disabled))
        if isinstance(self.content, Exception):
            raise self.content
        path = Path(local_dir) / file_name
        path.write_bytes(self.content)
        return str(path)


def test_the_hub_is_asked_without_a_url(monkeypatch, cached):
    hub = Hub(CONTENT)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert real_model_path("resnet").read_bytes() == CONTENT
    assert hub.asked == [("onnxmodelzoo/resnet152-v2-7", FILE, True)]
    assert not hub.disabled
    assert left_behind(cached) == [FILE]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"other", DIGEST),
        (
            RuntimeError("404 Client Error\nRepository Not Found"),
            "cannot be downloaded from the hub (404 Client Error)",
        ),
        (ConnectionError("no route"), "cannot be downloaded from the hub (no route)"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
    ],
)
def test_a_failure_of_the_hub_is_an_error_and_nothing_is_kept(monkeypatch, cached, content, expected):
    monkeypatch.setitem(sys.modules, "huggingface_hub", Hub(content))
    assert expected in refused()
    assert left_behind(cached) == []


def test_the_real_client_has_the_functions_that_are_used():
    import inspect

    import huggingface_hub

    assert {"repo_id", "filename", "local_dir"} <= set(inspect.signature(huggingface_hub.hf_hub_download).parameters)
    assert callable(huggingface_hub.utils.are_progress_bars_disabled)


def test_every_full_size_model_has_a_digest_and_a_recipe():
    from tvm_mutate.model.zoo import ZOO_NAMES

    assert set(REAL_MODELS) == set(ZOO_NAMES)
    for entry in REAL_MODELS.values():
        assert len(bytes.fromhex(entry.digest)) == 32
        assert entry.preprocessing.crop == 224
