"""The environment that a campaign ran in, for its results and for telling campaigns apart."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from tvm_mutate.results import Environment

_PACKAGES = ("tvm-mutate", "apache-tvm", "apache-tvm-ffi", "numpy", "onnx")


def package_versions() -> dict[str, str]:
    """The versions of the packages that outcomes depend on."""
    return {name: _version(name) for name in _PACKAGES}


def environment() -> Environment:
    """Versions, Python, operating system and machine, of this process."""
    return Environment(
        versions=package_versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        machine=platform.machine(),
        processor=_processor(),
        cores=os.cpu_count(),
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
