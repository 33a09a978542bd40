"""The full-size files of the ONNX model zoo behind ``real://name``: found in a folder or the cache, or downloaded.

A download is verified by its SHA-256 and appears in the cache as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from tqdm import tqdm

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model.preprocessing import RECIPES, Preprocessing

URL_VARIABLE = "TVM_MUTATE_MODEL_URL"
CACHE_VARIABLE = "TVM_MUTATE_CACHE"
ORGANISATION = "onnxmodelzoo"  # on the Hugging Face hub
TIMEOUT_SECONDS = 30.0
_BLOCK = 1 << 18
_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file is too large",
}


@dataclass(frozen=True)
class RealModel:
    """A file of the ONNX model zoo: its name there without suffix, its SHA-256 in hex, and its recipe."""

    key: str
    digest: str
    recipe: str

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.key}.onnx"

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing of its training."""
        return RECIPES[self.recipe]


REAL_MODELS: Mapping[str, RealModel] = MappingProxyType(
    {
        "mobilenetv2": RealModel(
            "mobilenetv2-7", "c1c513582d56afceff8516c73804e484c81c6a830712ab6d682253f4a3cd042f", "imagenet"
        ),
        "resnet": RealModel(
            "resnet152-v2-7", "40fb3f6dd313ba786a2c8077a0ef7d7b4afeda5d037365400d3a7fbc2b1bee64", "imagenet"
        ),
        # DenseNet and Inception come from Caffe2, AlexNet from Caffe: all three take BGR.
        "densenet": RealModel(
            "densenet-9",
            "875fb597a9f0f79cca8a9db610a355920b13959fbe7dc35b759dd35f4d25e291",
            "imagenet-bgr-caffe-scaled",
        ),
        "inceptionv2": RealModel(
            "inception-v2-9",
            "37ed4aa93f817fd0d1cc19bda045ebd70f18d0887a5f51e66ecd0ed8fd5a65c2",
            "imagenet-bgr-caffe",
        ),
        "shufflenetv2": RealModel(
            "shufflenet-v2-12", "ea69821b4dd374ae2f33f9710dd1229ac263d0ee5b5a46ca3521f6483e1ba035", "imagenet"
        ),
        "efficientnet_lite": RealModel(
            "efficientnet-lite4-11",
            "d111689907c06eea7c82e4833ddef758da6453b9d4cf60b7e99ca05c7cbd9c12",
            "imagenet-tf",
        ),
        "alexnet": RealModel(
            "bvlcalexnet-12",
            "6b0da9510f27f234ee96a85dc3809dd210150fdefad87f6850f9788513216945",
            "imagenet-bgr-caffe",
        ),
    }
)


def find_real_model(name: str) -> RealModel:
    """The entry of ``REAL_MODELS`` for a name; raises UsageError with the nearest name for an unknown one."""
    if name not in REAL_MODELS:
        raise UsageError(f"there is no full-size model {name!r}{suggestion(name, REAL_MODELS)}")
    return REAL_MODELS[name]


def real_model_path(name: str, directory: Path | None = None) -> Path:
    """The path of a full-size model's file, which has the right SHA-256.

    With a ``directory`` the file is searched there, else in the cache: the folder ``models`` of TVM_MUTATE_CACHE, or of
    ``~/.cache/tvm_mutate``. If the cache does not have the file, it is downloaded from TVM_MUTATE_MODEL_URL or from the
    Hugging Face hub. Raises UsageError, naming model, file or URL, if that fails or the file has other contents.
    """
    model = find_real_model(name)
    if directory is not None:
        return _in_directory(name, model, directory)
    named = os.environ.get(CACHE_VARIABLE)
    cache = Path(named).expanduser() if named else Path.home() / ".cache" / "tvm_mutate"
    cached = cache / "models" / model.file_name
    if cached.is_file() and _file_digest(cached) == model.digest:
        return cached
    if url := os.environ.get(URL_VARIABLE):
        download(f"{url.rstrip('/')}/{model.file_name}", cached, model.digest)
    else:
        download_from_hub(model, cached)
    return cached


def _in_directory(name: str, model: RealModel, directory: Path) -> Path:
    if not directory.is_dir():
        raise UsageError(f"--real {directory}: is no folder; give the folder that holds {model.file_name}")
    files = sorted(each for each in directory.rglob("*.onnx") if each.is_file())
    named = [each for each in files if each.name == model.file_name]
    for path in named + [each for each in files if each not in named]:
        if _file_digest(path) == model.digest:
            return path
    if named:
        raise UsageError(
            f"{named[0]}: has SHA-256 {_file_digest(named[0])}, but {model.key} has {model.digest}; "
            "put the original file of the ONNX model zoo there"
        )
    raise UsageError(
        f"--real {directory}: holds no {model.file_name} for real://{name}, under that or another name "
        f"({len(files)} .onnx files looked at)"
    )


def download(url: str, target: Path, digest: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
    """Downloads ``url`` to ``target``; its SHA-256 must be ``digest`` (hex).

    ``timeout`` limits, in seconds, connecting and each wait for data. A terminal shows a progress bar. Raises
    UsageError, naming URL or file, if the URL, the server, the connection, the digest or the disk fails.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "file"):
        raise UsageError(f"{url}: is no URL to download from; give one that starts with https://")
    with _partial_file(target) as (file, path):
        _install(path, target, _fetched(url, file, target, timeout), digest, url)


def download_from_hub(model: RealModel, target: Path) -> None:
    """Downloads the file of a model from the Hugging Face hub to ``target``.

    Raises UsageError, naming the repository, if the client is not installed, the download fails, or the SHA-256 is
    another.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            f"downloading {model.key} needs the Hugging Face client; run pip install 'tvm-mutate[hub]', set "
            f"{URL_VARIABLE}, or give the folder that holds it with --real"
        ) from None
    repository = f"{ORGANISATION}/{model.key}"
    with _partial_file(target) as (_, path), _scratch(target) as scratch:
        try:
            with _quiet_without_terminal(huggingface_hub.utils):
                fetched = huggingface_hub.hf_hub_download(repository, model.file_name, local_dir=scratch)
            Path(fetched).replace(path)
        except Exception as error:  # the errors come from the client's HTTP library, which differs between versions
            if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
                raise UsageError(_cannot_write(target, error)) from None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            failure = f"{repository}: cannot be downloaded from the hub ({reason})"
            raise UsageError(f"{failure}; check the connection or give --real FOLDER") from None
        _install(path, target, _file_digest(path), model.digest, f"{repository} on the hub")


@contextlib.contextmanager
def _partial_file(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file beside ``target``, and its path; it is removed at the end unless it was moved."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise UsageError(_cannot_write(target, error)) from None
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:  # unbuffered: closing writes nothing, so it cannot fail
            yield file, path
    finally:
        path.unlink(missing_ok=True)


def _install(path: Path, target: Path, got: str, digest: str, origin: str) -> None:
    if got != digest:
        path.unlink(missing_ok=True)
        raise UsageError(f"{origin}: has SHA-256 {got}, but {digest} was expected; the download was thrown away")
    try:
        path.chmod(0o644)  # a temporary file is readable by its owner only
        path.replace(target)
    except OSError as error:
        raise UsageError(_cannot_write(target, error)) from None


def _cannot_write(target: Path, error: OSError) -> str:
    reason = _DISK_ERRORS.get(error.errno or 0, error.strerror or str(error))
    return f"{target}: cannot be written, {reason}; free some space or choose another folder with TVM_MUTATE_CACHE"


def _file_digest(path: Path) -> str:
    try:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def _fetched(url: str, file: BinaryIO, target: Path, timeout: float) -> str:
    digest = hashlib.sha256()
    received = 0
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            hidden = not sys.stderr.isatty()
            with tqdm(desc=target.name, total=total, unit="B", unit_scale=True, disable=hidden) as bar:
                while block := response.read(_BLOCK):
                    _write(file, block, target)
                    digest.update(block)
                    received += len(block)
                    bar.update(len(block))
    except urllib.error.HTTPError as error:
        remedy = "check the address and the name" if error.code == 404 else "try again later or from elsewhere"
        raise UsageError(f"{url}: the server answered {error.code} {error.reason}; {remedy}") from None
    except urllib.error.URLError as error:
        raise UsageError(f"{url}: cannot be reached ({error.reason}); check the address and the connection") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        what = str(error) or type(error).__name__
        raise UsageError(f"{url}: the connection broke after {received} bytes ({what}); try again") from None
    if total is not None and received != total:
        raise UsageError(f"{url}: the connection broke after {received} of {total} bytes; try again")
    return digest.hexdigest()


def _write(file: BinaryIO, block: bytes, target: Path) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise UsageError(_cannot_write(target, error)) from None


@contextlib.contextmanager
def _scratch(target: Path) -> Iterator[str]:
    # In the folder of the target, so that the last step is a rename within one file system.
    try:
        folder = tempfile.TemporaryDirectory(prefix=".hub-", dir=target.parent)
    except OSError as error:
        raise UsageError(_cannot_write(target, error)) from None
    with folder as name:
        yield name


@contextlib.contextmanager
def _quiet_without_terminal(client: Any) -> Iterator[None]:
    if sys.stderr.isatty() or client.are_progress_bars_disabled():
        yield
        return
    client.disable_progress_bars()
    try:
        yield
    finally:
        client.enable_progress_bars()
