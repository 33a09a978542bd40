"""Options from pyproject.toml and tvm-mutate.toml: the command line wins, and wrong keys are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Tool, assert_refused

PROJECT = """
[tool.tvm-mutate]
seed = 5
operators = ["tir.swap-*", "!tir.swap-compare"]
[tool.tvm-mutate.run]
target = ["llvm", "c"]
quiet = true
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder two levels below the file of its project."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def test_the_options_of_the_file_hold_and_the_command_line_wins(tool: Tool, folder: Path):
    listed = tool("list", "zoo://alexnet")
    assert listed.code == 0
    names = {line.partition("@")[0].partition("{")[0] for line in listed.out.splitlines()}
    assert "tir.swap-loops" in names
    assert all(name.startswith("tir.swap-") and name != "tir.swap-compare" for name in names)
    other = tool("list", "zoo://alexnet", "--operators", "tir.swap-compare")
    assert {line.partition("{")[0] for line in other.out.splitlines()} == {"tir.swap-compare"}


def test_config_says_what_holds_and_where_it_comes_from(tool: Tool, folder: Path):
    file = folder.parents[1] / "pyproject.toml"
    lines = tool("config").out.splitlines()
    assert f"seed = 5  # {file}" in lines
    assert f'target = ["llvm", "c"]  # {file}' in lines
    assert f'operators = "tir.swap-*,!tir.swap-compare"  # {file}' in lines
    assert f"quiet = true  # {file}" in lines
    assert 'output = "tvm_mutate.out"  # default' in lines
    assert "# labels is not set" in lines
    assert not [line for line in tool("config", "list").out.splitlines() if line.startswith(("target =", "quiet"))
                if str(file) in line]  # fmt: skip


def test_the_nearest_file_holds_and_a_project_without_a_table_is_passed_over(tool: Tool, folder: Path):
    (folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert "seed = 5" in tool("config").out
    (folder.parent / "tvm-mutate.toml").write_text("seed = 6\n")
    assert f"seed = 6  # {folder.parent / 'tvm-mutate.toml'}" in tool("config").out


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sede = 1", ("'sede'", "did you mean 'seed'?")),
        ("[runn]\nseed = 1", ("no command 'runn'", "did you mean 'run'?")),
        ("[run]\nsede = 1", ("run has no option 'sede'",)),
        ("quiet = 'yes'", ("quiet is 'yes'; write true or false",)),
        ("limit = 2026-01-01", ("limit is datetime.date", "write text, a number")),
        ("mutant = [['tir.cast@*#*']]", ("mutant is [[", "write text, a number")),
        ("seed = ", ("is not valid TOML",)),
    ],
)
def test_a_wrong_key_is_refused_with_the_file(tool: Tool, folder: Path, text: str, parts: tuple[str, ...]):
    (folder / "tvm-mutate.toml").write_text(text)
    assert_refused(tool("config"), "tvm-mutate.toml", *parts)


def test_a_value_of_the_wrong_type_names_the_option(tool: Tool, folder: Path):
    (folder / "tvm-mutate.toml").write_text("workers = 'many'")
    assert_refused(tool("run", "zoo://alexnet"), "'--workers'", "'many'")


def test_more_workers_than_the_machine_has_memory_for_are_refused(tool: Tool, tmp_path: Path):
    refused = tool("run", "zoo://alexnet", "--workers", "100000", "--output", tmp_path / "out")
    assert_refused(refused, "--workers 100000: this machine has memory for", "write at most that")
    assert_refused(tool("test", "--workers", "100000", "--", "true"), "--workers 100000")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["[tool]\ntvm-mutate = 3", "[[tool.tvm-mutate]]\nworkers = 1"])
def test_a_project_whose_entry_is_no_table_is_refused_with_the_file(tool: Tool, folder: Path, text: str):
    (folder / "pyproject.toml").write_text(text)
    assert_refused(tool("config"), "pyproject.toml: tool.tvm-mutate is ", "write a table")


def test_a_project_with_another_tool_entry_has_no_options(tool: Tool, folder: Path):
    (folder / "pyproject.toml").write_text("tool = 3")
    assert tool("config").code == 0
