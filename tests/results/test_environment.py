"""The environment of results: versions, Python and machine of this process."""

from __future__ import annotations

import io
import os
import platform
import sys
from importlib.metadata import version

import pytest

from tvm_mutate.results import environment, package_versions

# The package exports a function of the same name.
MODULE = sys.modules[package_versions.__module__]


def test_the_versions_are_those_of_the_installed_packages():
    versions = package_versions()
    assert {name: versions[name] for name in ("apache-tvm", "numpy")} == {
        name: version(name) for name in ("apache-tvm", "numpy")
    }
    assert "tvm-mutate" in versions


def test_a_package_that_is_not_installed_has_an_unknown_version(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(MODULE, "_PACKAGES", ("no-such-package", "numpy"))
    assert package_versions() == {"no-such-package": "unknown", "numpy": version("numpy")}


def test_python_and_the_machine_are_those_of_this_process():
    found = environment()
    assert (found.python, found.machine, found.cores) == (
        platform.python_version(),
        platform.machine(),
        os.cpu_count(),
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [("vendor_id : a\nmodel name\t: Fast 3000\nmodel name\t: Fast 3000\n", "Fast 3000"), ("vendor_id : a\n", "arch")],
)
def test_the_processor_has_the_name_that_linux_gives_or_else_its_architecture(
    monkeypatch: pytest.MonkeyPatch, lines: str, expected: str
):
    monkeypatch.setattr(MODULE, "open", lambda _path: io.StringIO(lines), raising=False)
    monkeypatch.setattr(platform, "processor", lambda: "arch")
    assert environment().processor == expected


def test_a_system_without_proc_has_the_architecture_as_processor(monkeypatch: pytest.MonkeyPatch):
    def missing(_path):
        raise FileNotFoundError

    monkeypatch.setattr(MODULE, "open", missing, raising=False)
    monkeypatch.setattr(platform, "processor", lambda: "arch")
    assert environment().processor == "arch"
