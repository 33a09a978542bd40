"""The house rules: imports run one way down the floors, files stay small, linters and types are clean."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tvm_mutate"
# From the ground up; a floor imports only from floors below it. Rooms on one floor do not know each other.
FLOORS = (
    {"errors", "server"},
    {"mutant", "native", "statistics", "zoo"},
    {"operators", "passes", "model", "oracle"},
    {"pipeline"},
    {"program", "activation"},
    {"kernels", "autoload"},
    {"device"},
    {"evaluate"},
    {"campaign"},
    {"suite"},
    {"report"},
    {"cli", "plugin"},
    {"bench", "__main__"},
)
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(path for path in (ROOT / "passes").rglob("*") if path.suffix in (".cc", ".h"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "tvm_mutate":
            rooms |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tvm_mutate."):
            rooms.add(str(node.module).split(".")[1])
    return rooms


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_own_room_and_from_floors_below(path: Path):
    room = room_of(path)
    if room == "__init__":
        return
    assert room in HEIGHT, f"{room} has no floor yet: add it to FLOORS"
    above = {other for other in imported_rooms(path) if other != room and HEIGHT[other] >= HEIGHT[room]}
    assert not above


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_fits_on_a_few_screens_and_an_init_only_re_exports(path: Path):
    assert path.read_text().count("\n") <= 300
    if path.name == "__init__.py":
        kinds = (ast.Expr, ast.ImportFrom, ast.Assign)
        assert all(isinstance(node, kinds) for node in ast.parse(path.read_text()).body)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_of_the_native_library_fits_on_a_few_screens(path: Path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 300
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=lambda command: " ".join(command),
)
def test_the_linters_and_the_type_checker_are_clean(command: list[str]):
    finished = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
