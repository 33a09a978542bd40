"""Downloads a file from a URL or from the Hugging Face hub, verifies its SHA-256 and writes it atomically."""

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
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from tqdm import tqdm

from tvm_mutate.errors import UsageError

TIMEOUT_SECONDS = 30.0
_BLOCK = 1 << 18
DISK_ERRORS: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the quota is used up",
        errno.EFBIG: "the file is too large",
    }
)


def download(url: str, target: Path, digest: str, *, quiet: bool = False, timeout: float = TIMEOUT_SECONDS) -> None:
    """Downloads ``url`` to ``target``, which appears complete and with the SHA-256 ``digest`` (hex), or not at all.

    ``timeout`` bounds, in seconds, connecting and each wait for data. A progress bar is shown on a terminal unless
    ``quiet``. Raises UsageError, naming URL or file, if the URL or the server fails, the connection breaks, the
    digest is another, or the file cannot be written.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "file"):
        raise UsageError(f"{url}: is no URL to download from; give one that starts with https://")
    with partial_file(target) as (file, path):
        got = _fetched(url, file, target, quiet, timeout)
        install(path, target, got, digest, url)


@contextlib.contextmanager
def partial_file(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file beside ``target`` to write to, and its path; it is removed unless it was moved away meanwhile.

    Raises UsageError, naming the target, if the file cannot be made.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise UsageError(cannot_write(target, error)) from None
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:  # unbuffered: nothing is left to fail at closing
            yield file, path
    finally:
        path.unlink(missing_ok=True)


def install(path: Path, target: Path, got: str, digest: str, origin: str) -> None:
    """Moves a downloaded file to its target if its SHA-256 ``got`` is ``digest``, else removes it.

    Raises UsageError, naming ``origin`` and both digests, if they differ, or the target if it cannot be written.
    """
    if got != digest:
        path.unlink(missing_ok=True)
        raise UsageError(f"{origin}: has SHA-256 {got}, but {digest} was expected; the download was thrown away")
    try:
        path.chmod(0o644)  # temporary files are made for their owner only
        path.replace(target)
    except OSError as error:
        raise UsageError(cannot_write(target, error)) from None


def cannot_write(target: Path, error: OSError) -> str:
    """Why ``target`` could not be written, as a sentence."""
    reason = DISK_ERRORS.get(error.errno or 0, error.strerror or str(error))
    return f"{target}: cannot be written, {reason}; free some space or choose another folder with TVM_MUTATE_CACHE"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex. Raises UsageError, naming the file, if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


def _fetched(url: str, file: BinaryIO, target: Path, quiet: bool, timeout: float) -> str:
    digest = hashlib.sha256()
    received = 0
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            length = response.headers.get("Content-Length")
            total = int(length) if length and length.isdigit() else None
            with _progress(target.name, total, quiet) as bar:
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
        raise UsageError(cannot_write(target, error)) from None


def _progress(name: str, total: int | None, quiet: bool) -> Any:
    shown = not quiet and sys.stderr.isatty()
    return tqdm(desc=name, total=total, unit="B", unit_scale=True, disable=not shown)


ORGANISATION = "onnxmodelzoo"


def download_from_hub(key: str, file_name: str, target: Path, digest: str, *, quiet: bool = False) -> None:
    """Downloads ``file_name`` of the repository ``onnxmodelzoo/<key>`` to ``target``, SHA-256 ``digest`` (hex).

    The target appears complete or not at all. Raises UsageError, naming the repository, if the client is not
    installed, the download fails, or the digest is another.
    """
    client = _client(key)
    repository = f"{ORGANISATION}/{key}"
    with partial_file(target) as (_, path), _scratch(target) as scratch:
        try:
            with _progress_bars(client, quiet):
                fetched = Path(client.hf_hub_download(repository, file_name, local_dir=scratch))
            fetched.replace(path)
        except Exception as error:  # the client's errors come from its HTTP library, which changed between versions
            if isinstance(error, OSError) and error.errno in DISK_ERRORS:
                raise UsageError(cannot_write(target, error)) from None
            raise UsageError(_failed(repository, error)) from None
        install(path, target, file_digest(path), digest, f"{repository} on the hub")


def _client(key: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            f"downloading {key} needs the Hugging Face client; run pip install 'tvm-mutate[hub]', set "
            "TVM_MUTATE_MODEL_URL, or give the folder that holds it with --real"
        ) from None
    return huggingface_hub


@contextlib.contextmanager
def _scratch(target: Path) -> Iterator[str]:
    # In the cache's own folder, so that the last step is a rename within one file system.
    try:
        folder = tempfile.TemporaryDirectory(prefix=".hub-", dir=target.parent)
    except OSError as error:
        raise UsageError(cannot_write(target, error)) from None
    with folder as name:
        yield name


@contextlib.contextmanager
def _progress_bars(client: Any, quiet: bool) -> Iterator[None]:
    silent = quiet or not sys.stderr.isatty()
    if silent and not client.utils.are_progress_bars_disabled():
        client.utils.disable_progress_bars()
        try:
            yield
        finally:
            client.utils.enable_progress_bars()
    else:
        yield


def _failed(repository: str, error: Exception) -> str:
    what = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return f"{repository}: cannot be downloaded from the hub ({what}); check the connection or give --real FOLDER"
