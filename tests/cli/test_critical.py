"""``tvm-mutate critical``: a table and a file of the smallest noticed faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Tool, assert_refused

MODEL = "zoo://alexnet"
SEARCH = ("critical", MODEL, "--operator", "tir.shift-store-index")


def test_the_table_and_the_file_have_the_same_sites_and_the_command_resumes(
    tool: Tool, tmp_path: Path, network: list[str]
):
    output = tmp_path / "out"
    search = ("critical", *network, "--operator", "tir.shift-store-index", "--max", "4", "--sample", "3")
    ended = tool(*search, "--output", output)
    assert ended.code == 0, ended.err
    assert "sites: 3/3" in ended.err
    content = json.loads((output / "critical.json").read_text())
    assert content["plan"]["specification"]["parameter"] == "by"
    assert len(content["sites"]) == 3
    for site in content["sites"]:
        assert site["function"] in ended.out
        told = f"by={site['critical']}" if site["critical"] is not None else f"none up to {site['largest']}"
        assert told in ended.out
        assert site["evaluations"] == len(site["tried"]) <= 4
    again = tool(*search, "--output", output)
    assert "3 rows are in the journal already" in again.err
    assert again.out == ended.out
    assert json.loads((output / "critical.json").read_text()) == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["critical", MODEL], "Missing option '--operator'"),
        (["critical", MODEL, "--operator", "tir.offset-stor"], "did you mean 'tir.offset-store'?"),
        (["critical", MODEL, "--operator", "tir.swap-compare"], "tir.swap-compare has no parameter with a size"),
        ([*SEARCH, "--parameter", "ulps"], "tir.shift-store-index has no size named 'ulps'"),
        ([*SEARCH, "--sites", "all"], "--sites all: a search is for single sites"),
        ([*SEARCH, "--sample", "3", "--order", "2"], "--order: a search is for one mutation"),
        ([*SEARCH, "--precision", "0.1"], "--precision: a search"),
        ([*SEARCH, "--resolution", "0"], "0.0 is not in the range"),
        ([*SEARCH, "--max", "0.5"], "--max 0.5 is less than the least size of tir.shift-store-index, 1"),
        (["critical", __file__, "--operator", "tir.offset-store"], "cannot be run: ImportError"),
        (["critical", MODEL, "--operator", "tir.offset-store", "--oracle", "nope"], "there is no oracle 'nope'"),
        (["critical", MODEL, "--operator", "tir.offset-store", "--target", "vulkan"], "nothing here runs code"),
    ],
)
def test_bad_input_of_a_search_is_refused_in_one_sentence(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    assert_refused(tool(*arguments), message)
    assert not list(tmp_path.iterdir())
