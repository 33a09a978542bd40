"""The house rules: imports run one way down the layers, a package file only re-exports, a file is one concept."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tvm_mutate"
# From the bottom to the top. A package imports only packages on layers below its own; packages on one layer do not
# import each other. The core ends with `report`: it imports none of the studies.
LAYERS = (
    {"errors", "text_enum", "forked", "samples", "scenario", "server"},
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
# A file is one concept; a longer one is two.
LONG_FILE = 700


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


def names_of(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("package", sorted({package_of(path) for path in MODULES} - {"__init__"}))
def test_a_package_imports_only_from_itself_and_from_layers_below(package: str):
    assert package in LAYER, f"{package} has no layer yet: add it to LAYERS"
    above = {
        str(path.relative_to(ROOT)): other
        for path in MODULES
        if package_of(path) == package
        for other in imported_packages(path)
        if other != package and LAYER[other] >= LAYER[package]
    }
    assert not above


def test_package_files_and_no_others_only_re_export():
    for path in MODULES:
        body = ast.parse(path.read_text()).body
        others = [node for node in body if not (is_docstring(node) or is_re_export(node) or is_lazy_import(node))]
        if path == PACKAGE / "__init__.py":  # the public API loads its modules at the first use, from a table of names
            others = [node for node in others if not isinstance(node, (ast.Assign, ast.AnnAssign))]
        assert bool(others) == (path.name != "__init__.py"), [path, *map(ast.unparse, others)]


def test_no_file_is_so_long_that_it_holds_several_concepts():
    assert names_of([path for path in [*MODULES, *SOURCES] if path.read_text().count("\n") > LONG_FILE]) == []


def test_lines_of_the_native_library_have_at_most_120_characters():
    assert names_of([path for path in SOURCES if max(map(len, path.read_text().splitlines())) > 120]) == []
