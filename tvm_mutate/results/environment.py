"""The environment of this process: versions of packages, Python, operating system and machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from tvm_mutate.results.rows import Environment

_PACKAGES = ("tvm-mutate", "apache-tvm", "apache-tvm-ffi", "numpy", "onnx")


def package_versions() -> dict[str, str]:
    """The versions of the packages that decide outcomes."""
    return {name: _version(name) for name in _PACKAGES}


def environment() -> Environment:
    """The environment of this process, for results."""
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
