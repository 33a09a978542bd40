"""What CONTRIBUTING.md, the workflow, the hooks and pyproject.toml say about the repository holds."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import FAST, NOT_FAST, TESTS, is_fast

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = TESTS.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Tools that contributors install besides the extra `test`.
OPTIONAL_TOOLS = ("coverage", "pre-commit")


def read_yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def versions_of_classifiers() -> list[str]:
    prefix = "Programming Language :: Python :: "
    return [each.removeprefix(prefix) for each in PROJECT["classifiers"] if each.startswith(prefix)]


def commands_of_the_guide() -> list[str]:
    table = re.findall(r"^\| `([^`]+)` \|.*\|.*\|$", GUIDE, re.MULTILINE)
    block = [line for text in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in text.splitlines()]
    return [part.strip() for line in table + block for part in line.split("&&") if not line.startswith("tvm_mutate/")]


@pytest.mark.parametrize("command", [each for each in commands_of_the_guide() if not each.startswith("tvm_mutate/")])
def test_a_command_of_the_guide_exists(command: str):
    program, *words = command.split()
    files = [word for word in words if re.search(r"^[a-z_]+/|\.py$", word)]
    assert all((ROOT / word).exists() for word in files)
    if program in (".", ".ci/run"):
        assert program == "." or (ROOT / program).exists()
    elif program not in OPTIONAL_TOOLS:
        module = {"python3": "venv", "tvm-mutate": "tvm_mutate"}.get(program, program)
        assert shutil.which(program) or importlib.util.find_spec(module)


def test_the_guide_names_every_folder_of_the_package_and_no_other():
    named = set(re.findall(r"`tvm_mutate/([\w.]+)`", GUIDE.split("## Layout")[1].split("A module imports")[0]))
    folders = {path.parent.name for path in (ROOT / "tvm_mutate").glob("*/__init__.py")}
    assert folders <= named <= folders | {path.name for path in (ROOT / "tvm_mutate").glob("*.py")}


def test_every_module_with_strict_types_exists():
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    (strict,) = [each["module"] for each in overrides if "disallow_any_explicit" in each]
    files = [ROOT / f"{module.replace('.', '/')}.py" for module in strict]
    assert [path for path in files if not path.exists()] == []


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:tests|docs|benchmarks|tvm_mutate|report|operators)/[\w./]+)`", GUIDE)))
)
def test_a_path_of_the_guide_exists(path: str):
    assert (ROOT / path).exists() or (ROOT / "tvm_mutate" / path).exists()


def test_the_workflow_tests_the_versions_of_python_that_the_package_declares():
    jobs = read_yaml(".github/workflows/tests.yml")["jobs"]
    assert jobs["tests"]["strategy"]["matrix"]["python-version"] == versions_of_classifiers()
    steps = {name: " ".join(step.get("run", "") for step in job["steps"]) for name, job in jobs.items()}
    assert "lowest-direct" in steps["lowest-versions"]
    assert all("pytest" in commands for commands in steps.values())
    assert PROJECT["requires-python"] == f">={versions_of_classifiers()[0]}"


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_a_file_for_github_is_yaml_with_a_name(path: Path):
    contents = read_yaml(str(path.relative_to(ROOT)))
    assert "name" in contents or path.name == "config.yml"


def test_the_hooks_run_the_checks_of_the_guide():
    (repository,) = read_yaml(".pre-commit-config.yaml")["repos"]
    entries = " ".join(hook["entry"] for hook in repository["hooks"])
    assert all(tool in entries for tool in ("ruff check", "ruff format", "mypy", "tests/test_house.py"))


def test_the_licence_is_the_one_that_the_package_declares():
    assert PROJECT["license"] == {"text": "Apache-2.0"}
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()


def test_the_changelog_has_an_entry_for_the_version():
    assert re.search(
        rf"^## ({re.escape(PROJECT['version'])}|Unreleased)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_type_checkers_find_the_annotations_of_the_package():
    assert (ROOT / "tvm_mutate" / "py.typed").exists()


def test_every_pattern_of_the_fast_subset_has_a_file():
    files = [path.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py")]
    assert [pattern for pattern in FAST if not fnmatch.filter(files, pattern)] == []


def test_every_pattern_of_slow_tests_is_of_a_test_in_a_fast_file():
    fast = [path for path in TESTS.rglob("*.py") if is_fast(path)]
    names = [name for path in fast for name in re.findall(r"def (test_\w+)", path.read_text())]
    assert [pattern for pattern in NOT_FAST if not fnmatch.filter(names, pattern)] == []


def test_the_fast_subset_covers_every_layer_that_has_tests():
    folders = {path.parent for path in TESTS.rglob("test_*.py")} - {
        TESTS,
        *(TESTS / name for name in ("plugin", "benchmarks", "real_bugs")),
    }
    slow = [path.name for path in folders if not any(map(is_fast, path.glob("test_*.py")))]
    assert not slow
