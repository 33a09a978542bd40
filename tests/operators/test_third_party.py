"""A third party's operator: the README's, installed from its own package, listed, and run in a campaign."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import tvm_mutate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(__file__).with_name("third_party_package")
OPERATOR = "tir.add-to-subtract"
Tool = Callable[..., subprocess.CompletedProcess[str]]


def wheel_of(package: Path, folder: Path) -> Path:
    """The wheel that a build backend would make of the package; none of them need be installed here."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    information = f"{name}-{project['version']}.dist-info"
    entry_points = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    files = {
        f"{name}.py": (package / f"{name}.py").read_text(),
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": entry_points,
    }
    files[f"{information}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{information}/RECORD"])
    wheel = folder / f"{name}-{project['version']}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """Runs ``tvm-mutate`` in a process that finds the installed package."""
    folder = tmp_path_factory.mktemp("third-party")
    wheel, site = wheel_of(PACKAGE, folder), folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", "--target", site, wheel]
    subprocess.run(pip, check=True)
    paths = [str(site), str(Path(tvm_mutate.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tvm_mutate", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )

    return run


def test_the_package_is_the_one_that_the_guide_shows_and_is_short():
    guide, source = (ROOT / "docs" / "extending.md").read_text(), (PACKAGE / "my_package.py").read_text()
    assert source in guide
    assert source.count("\n") <= 30
    entry_points = (PACKAGE / "pyproject.toml").read_text().partition("\n\n[project.entry-points")[2]
    assert f"[project.entry-points{entry_points}" in guide


def test_the_installed_operator_is_listed_beside_ours(tool: Tool):
    finished = tool("operators", "tir.*", "--json")
    assert finished.returncode == 0, finished.stderr
    listed = {each["name"]: each for each in json.loads(finished.stdout)}
    assert {OPERATOR, "tir.swap-compare"} <= listed.keys()
    assert listed[OPERATOR]["slots"] == ["kernel", "lowered"]


def test_its_mutants_are_applied_and_killed_in_a_campaign(tool: Tool, tmp_path: Path):
    arguments = ("--operators", OPERATOR, "--slots", "kernel,lowered", "--limit", 4, "--workers", 1, "--quiet")
    finished = tool("run", "zoo://alexnet", *arguments, "--output", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["mutants"]
    assert {row["id"] for row in rows} == {f"{OPERATOR}@*#*", f"{OPERATOR}{{slot=lowered}}@*#*"}
    for row in rows:
        assert row["sites"] >= row["functions"] > 3
        assert (row["outcome"], row["verdict"], row["undefined"]) == ("completed", "killed", []), row
