"""The entry points of this package for processes that a test starts, whether the package is installed or not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import tvm_mutate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]


def environment_with_entry_points(folder: Path, **more: str) -> dict[str, str]:
    """The environment for a process that finds the package and, described in the folder, its entry points."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    name, version = project["name"], project["version"]  # of an installed package, too, so that each is found once
    information = folder / "entry_points" / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (information / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
            for group, entries in project["entry-points"].items()
        )
    )
    paths = [str(information.parent), str(Path(tvm_mutate.__file__).parents[1]), str(ROOT)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TVM_MUTATE")}
    return {**kept, "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]), **more}
