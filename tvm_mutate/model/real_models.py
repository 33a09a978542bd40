"""The full-size files of the ONNX model zoo behind ``real://name``: what they are and where they come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model.download import download, download_from_hub, file_digest
from tvm_mutate.model.preprocessing import RECIPES, Preprocessing


@dataclass(frozen=True)
class RealModel:
    """A file of the ONNX model zoo: ``key`` names it there, ``digest`` is its SHA-256 in hex."""

    key: str
    digest: str
    recipe: str

    @property
    def file_name(self) -> str:
        """The name of its file."""
        return f"{self.key}.onnx"

    @property
    def preprocessing(self) -> Preprocessing:
        """The recipe that its weights were trained for."""
        return RECIPES[self.recipe]


REAL_MODELS: Mapping[str, RealModel] = MappingProxyType(
    {
        "mobilenetv2": RealModel(
            "mobilenetv2-7", "c1c513582d56afceff8516c73804e484c81c6a830712ab6d682253f4a3cd042f", "imagenet"
        ),
        "resnet": RealModel(
            "resnet152-v2-7", "40fb3f6dd313ba786a2c8077a0ef7d7b4afeda5d037365400d3a7fbc2b1bee64", "imagenet"
        ),
        # The next and Inception were Caffe2's, and AlexNet Caffe's own: all three take BGR.
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
