"""An aarch64 device without a board: this machine under ``qemu-user``, set up on Debian in about a minute.

``python -m tvm_mutate.server.emulation set-up`` puts Debian's Python for aarch64 and TVM's wheel for it into a folder;
``python -m tvm_mutate.server.emulation serve --tracker HOST:PORT --key KEY`` runs the server of this package there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

EMULATOR = "qemu-aarch64-static"
CROSS_COMPILER = "aarch64-linux-gnu-g++"
TARGET = '{"kind":"llvm","mattr":["+neon"],"mtriple":"aarch64-linux-gnu"}'
FOLDER_VARIABLE = "TVM_MUTATE_EMULATION"
_HOST_PACKAGES = {EMULATOR: "qemu-user-static", CROSS_COMPILER: "g++-aarch64-linux-gnu"}
# Debian's interpreter without the parts that a server does not need, and the libraries that TVM is linked with.
_PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6", "libgcc-s1")
# These have the versions of this machine; the others may have any version.
_WHEELS = ("apache-tvm", "apache-tvm-ffi")
_OTHER_WHEELS = ("numpy", "psutil")
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
_READY = "ready"
_SERVER = Path(__file__).with_name("serving.py")


class EmulationError(Exception):
    """The reason, in one sentence, why this machine cannot emulate another."""


def default_folder() -> Path:
    """The folder of the emulated machine: ``$TVM_MUTATE_EMULATION``, or a folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(cache) / "tvm_mutate" / "aarch64")


def is_ready(folder: Path) -> bool:
    """Whether the folder has an emulated machine for this version of TVM, and the tools are installed."""
    ready = folder / _READY
    return ready.is_file() and ready.read_text() == _identity() and not _missing_tools()


def set_up(folder: Path) -> None:
    """Makes the emulated machine if it does not exist; raises EmulationError if that fails."""
    if is_ready(folder):
        return
    _install_tools()
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "packages").mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="tvm_mutate-emulation-") as temporary:
        for package in _download(Path(temporary)):
            _run(["dpkg", "-x", str(package), str(folder / "root")])
    python = _python(folder)
    wheels = [f"{name}=={importlib.metadata.version(name)}" for name in _WHEELS]
    platforms = [option for each in _PLATFORMS for option in ("--platform", each)]
    options = ["--only-binary=:all:", "--python-version", python.name.removeprefix("python"), *platforms]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    _run([*pip, "--target", str(folder / "packages"), *options, *wheels, *_OTHER_WHEELS])
    (folder / _READY).write_text(_identity())


def serving_command(folder: Path, options: Sequence[str] = ()) -> list[str]:
    """The command of a server on the emulated machine, with the options of ``python -m tvm_mutate.server``."""
    root = folder / "root"
    variables = {"PYTHONPATH": folder / "packages", "TVM_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    settings = [option for name, value in variables.items() for option in ("-E", f"{name}={value}")]
    return [EMULATOR, "-L", str(root), *settings, str(_python(folder)), str(_SERVER), *options]


def _identity() -> str:
    return "\n".join(f"{name} {importlib.metadata.version(name)}" for name in _WHEELS)


def _python(folder: Path) -> Path:
    found = sorted((folder / "root/usr/bin").glob("python3.*[0-9]"))
    if not found:
        raise EmulationError(f"{folder} has no interpreter; set it up first: python -m {__spec__.name} set-up")
    return found[0]


def _missing_tools() -> list[str]:
    return [tool for tool in _HOST_PACKAGES if shutil.which(tool) is None]


def _install_tools() -> None:
    """Installs the emulator and the cross compiler if they are missing."""
    missing = _missing_tools()
    if shutil.which("apt-get") is None:
        raise EmulationError("the emulation of aarch64 needs Debian's packages, and apt-get is missing")
    if not missing:
        return
    packages = [_HOST_PACKAGES[tool] for tool in missing]
    if os.geteuid() != 0:
        raise EmulationError(f"{missing[0]} is missing; as root: apt-get install {' '.join(packages)}")
    _run(["apt-get", "-q", "update"])
    _run(["apt-get", "-q", "install", "-y", "--no-install-recommends", *packages])


def _download(folder: Path) -> list[Path]:
    """Debian's packages for aarch64, downloaded with a separate state of apt that knows of no installed packages."""
    for each in ("state/lists/partial", "cache/archives/partial"):
        (folder / each).mkdir(parents=True)
    (folder / "state/status").touch()
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Sandbox::User": "",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "state/status",
        "Dir::Cache": folder / "cache",
    }
    apt = ["apt-get", "-q", *(option for name, value in settings.items() for option in ("-o", f"{name}={value}"))]
    _run([*apt, "update"])
    _run([*apt, "install", "-y", "--download-only", "--no-install-recommends", *_PACKAGES])
    return sorted((folder / "cache/archives").glob("*.deb"))


def _run(command: Sequence[str]) -> None:
    """Runs a command; raises EmulationError with the last line of its error output."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if finished.returncode != 0:
        said = [line for line in finished.stderr.splitlines() if line.strip() and not line.startswith("W:")]
        raise EmulationError(f"{command[0]} failed: {said[-1].strip() if said else finished.returncode}")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command ``set-up``, ``serve`` or ``target``."""
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description="An aarch64 device under qemu.")
    parser.add_argument("what", choices=("set-up", "serve", "target"))
    parser.add_argument("--folder", type=Path, default=default_folder(), help="default: %(default)s")
    options, rest = parser.parse_known_args(arguments)
    if rest and options.what != "serve":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        if options.what == "target":
            print(TARGET)
        elif options.what == "set-up":
            set_up(options.folder)
            print(f"an aarch64 machine is in {options.folder}")
        else:
            command = serving_command(options.folder, rest)
            if _missing_tools():
                raise EmulationError(f"{EMULATOR} is missing; run set-up first")
            os.execvp(command[0], command)
    except EmulationError as error:
        sys.exit(f"error: {error}")
    sys.exit(0)


if __name__ == "__main__":
    main()
