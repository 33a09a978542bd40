"""Where full-size models come from: a folder of the user's, the cache, a URL, or the hub."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tvm_mutate.errors import UsageError
from tvm_mutate.model.download import download, file_digest
from tvm_mutate.model.hub import download_from_hub
from tvm_mutate.model.real_models import RealModel, find_real_model

URL_VARIABLE = "TVM_MUTATE_MODEL_URL"
CACHE_VARIABLE = "TVM_MUTATE_CACHE"


@dataclass(frozen=True)
class RealSource:
    """Where to look for full-size models.

    ``directory`` holds the files, or its folders do, and then nothing is downloaded. ``url`` is what file names
    are appended to (None: the variable ``TVM_MUTATE_MODEL_URL``, else the hub). ``cache`` keeps downloads (None:
    the variable ``TVM_MUTATE_CACHE``, else ``~/.cache/tvm_mutate``, each with a folder ``models``). ``quiet`` shows
    no progress bar.
    """

    directory: Path | None = None
    url: str | None = None
    cache: Path | None = None
    quiet: bool = False

    @property
    def cache_folder(self) -> Path:
        """The folder that holds the downloaded files."""
        if self.cache is not None:
            return self.cache / "models"
        named = os.environ.get(CACHE_VARIABLE)
        return (Path(named).expanduser() if named else Path.home() / ".cache" / "tvm_mutate") / "models"


def real_model_path(name: str, source: RealSource) -> Path:
    """The path of a full-size model's file, its SHA-256 checked; downloaded into the cache if it is not there.

    Raises UsageError, naming model, file or URL, if it cannot be found or downloaded, or is another file.
    """
    model = find_real_model(name)
    if source.directory is not None:
        return _in_directory(name, model, source.directory)
    cached = source.cache_folder / model.file_name
    if cached.is_file() and file_digest(cached) == model.digest:
        return cached
    url = source.url or os.environ.get(URL_VARIABLE)
    if url:
        download(f"{url.rstrip('/')}/{model.file_name}", cached, model.digest, quiet=source.quiet)
    else:
        download_from_hub(model.key, model.file_name, cached, model.digest, quiet=source.quiet)
    return cached


def _in_directory(name: str, model: RealModel, directory: Path) -> Path:
    if not directory.is_dir():
        raise UsageError(f"--real {directory}: is no folder; give the folder that holds {model.file_name}")
    files = sorted(each for each in directory.rglob("*.onnx") if each.is_file())
    named = [each for each in files if each.name == model.file_name]
    for path in named + [each for each in files if each not in named]:
        if file_digest(path) == model.digest:
            return path
    if named:
        raise UsageError(
            f"{named[0]}: has SHA-256 {file_digest(named[0])}, but {model.key} has {model.digest}; "
            "put the original file of the ONNX model zoo there"
        )
    raise UsageError(
        f"--real {directory}: holds no {model.file_name} for real://{name}, under that or another name "
        f"({len(files)} .onnx files looked at)"
    )
