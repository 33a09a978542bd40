"""Downloads a file of the ONNX model zoo through the Hugging Face client, an optional dependency."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tvm_mutate.errors import UsageError
from tvm_mutate.model.download import DISK_ERRORS, cannot_write, file_digest, install, partial_file

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
