"""The house rules: imports run one way down the layers, a package file only re-exports, linters and types are clean."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tvm_mutate"
# From the bottom to the top. A package imports only packages on layers below its own; packages on one layer do not
# import each other. The core ends with `report`: it imports none of the studies.
LAYERS = (
    {"errors", "text_enum", "forked", "samples", "server"},
    {"mutant", "native", "python_file", "documents"},
    {"operators", "passes", "model", "oracle"},
    {"results"},
    {"pipeline"},
    {"activation"},
    {"kernels", "autoload"},
    {"device"},
    {"evaluate"},
    {"campaign"},
    {"suite"},
    {"report"},
    {"studies"},
    {"api"},
    {"cli", "plugin"},
    {"bench", "__main__"},
)
LAYER = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(path for path in (ROOT / "passes").rglob("*") if path.suffix in (".cc", ".h"))
# A file is one concept. A longer file is a reason to look for two concepts in it, not an error.
LONG_FILE = 600


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(node: ast.AST, path: Path) -> list[str]:
    """The dotted names that an import statement loads; a relative import is written out."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = [node.module] if node.module else []
        if node.level:
            folder = path.relative_to(ROOT).parts[: -node.level]
            base = [*folder, *base]
        return [".".join([*base, alias.name]) for alias in node.names]
    return []


def imported_packages(path: Path) -> set[str]:
    names = [name.split(".") for node in ast.walk(ast.parse(path.read_text())) for name in imported_names(node, path)]
    return {parts[1] for parts in names if parts[0] == "tvm_mutate" and len(parts) > 1}


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_re_export(node: ast.stmt) -> bool:
    """An import, or an assignment to a dunder name such as `__all__`."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(target, ast.Name) and target.id.startswith("__") for target in targets)
    return isinstance(node, (ast.Import, ast.ImportFrom))


def is_lazy_import(node: ast.stmt) -> bool:
    """The module functions of PEP 562 and what type checkers read instead of them."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")


def per_module(*, inits: bool = True):
    paths = [path for path in MODULES if inits or path.name != "__init__.py"]
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(PACKAGE)))


@per_module()
def test_a_module_imports_only_from_its_own_package_and_from_layers_below(path: Path):
    package = package_of(path)
    if package == "__init__":
        return
    assert package in LAYER, f"{package} has no layer yet: add it to LAYERS"
    above = {other for other in imported_packages(path) if other != package and LAYER[other] >= LAYER[package]}
    assert not above


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=str)
def test_a_package_file_only_re_exports(path: Path):
    body = ast.parse(path.read_text()).body
    others = [node for node in body if not (is_docstring(node) or is_re_export(node) or is_lazy_import(node))]
    if path.parent == PACKAGE:  # the public API loads its modules at the first use, from a table of names
        others = [node for node in others if not isinstance(node, (ast.Assign, ast.AnnAssign))]
    assert not [ast.unparse(node) for node in others]


@per_module(inits=False)
def test_any_other_module_does_more_than_re_export(path: Path):
    body = ast.parse(path.read_text()).body
    assert not all(is_docstring(node) or is_re_export(node) for node in body)


@pytest.mark.parametrize("path", [*MODULES, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_long_file_raises_a_warning(path: Path):
    lines = path.read_text().count("\n")
    if lines > LONG_FILE:
        warnings.warn(f"{path.relative_to(ROOT)} has {lines} lines: is it one concept?", stacklevel=1)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_line_of_the_native_library_has_at_most_120_characters(path: Path):
    assert max(map(len, path.read_text().splitlines())) <= 120


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=lambda command: " ".join(command),
)
def test_the_linters_and_the_type_checker_are_clean(command: list[str]):
    finished = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
