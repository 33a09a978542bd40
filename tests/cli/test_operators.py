"""``tvm-mutate operators``: the catalogue as text and as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tvm_mutate.cli.main import COMMANDS
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue, load_catalogue

from .conftest import Tool, assert_refused


def test_the_text_has_every_operator_with_its_full_parameters_in_80_columns(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "80")
    ended = tool("operators")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80 and all(line == line.rstrip() for line in lines)
    for operator in load_catalogue().values():
        assert any(line.startswith(f"  {operator.name}  (") for line in lines), operator.name
        for parameter in operator.parameters:
            assert f"{parameter.name}={'|'.join(parameter.choices)}" in re.sub(r"\s+", "", ended.out)
    assert lines[-1] == f"{len(load_catalogue())} operators"
    assert "…" not in ended.out


def test_the_help_of_run_has_every_option_in_its_group_and_the_others_last(tool: Tool):
    lines = tool("run", "--help").out.splitlines()
    groups = [line for line in lines if re.fullmatch(r"\w+:", line)]
    assert groups == ["Inputs:", "Mutants:", "Devices:", "Model:", "Pipelines:", "Campaign:", "Options:"]
    places = {option: next(at for at, line in enumerate(lines) if line.startswith(f"  {option} "))
              for option in ("--sample", "--shape", "--workers", "--output")}  # fmt: skip
    found = {option: [each for each in groups if lines.index(each) < at][-1] for option, at in places.items()}
    assert found == {"--sample": "Mutants:", "--shape": "Model:", "--workers": "Campaign:", "--output": "Options:"}


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_no_help_is_cut_at_80_columns(tool: Tool, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = tool(*filter(None, [name]), "--help").out.splitlines()
    assert lines[0].startswith("Usage: tvm-mutate")
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines[1:] if line.endswith(("…", "..."))]


def test_the_json_has_every_operator_with_the_parts_of_an_id(tool: Tool):
    found = {row["name"]: row for row in json.loads(tool("operators", "--json").out)}
    catalogue = load_catalogue()
    assert set(found) == set(catalogue)
    for name, row in found.items():
        operator = catalogue[name]
        assert row["slots"] == [str(slot) for slot in operator.slots] and set(row["slots"]) <= set(map(str, Slot))
        assert row["category"] == str(operator.category)
        assert row["description"] == operator.description
        assert [each["name"] for each in row["parameters"]] == [each.name for each in operator.all_parameters()]
        assert all(each["description"] for each in row["parameters"])
        for variant in row["variants"] + row["more_variants"]:
            assert catalogue.parse(str(operator.mutation(variant)))


def test_globs_choose_operators(tool: Tool):
    rows = json.loads(tool("operators", "tir.swap-*", "graph.replace-*", "--json").out)
    names = [row["name"] for row in rows]
    assert "tir.swap-compare" in names and "graph.replace-activation" in names
    assert all(name.startswith(("tir.swap-", "graph.replace-")) for name in names)


def test_a_glob_without_a_match_is_refused_with_the_nearest_name(tool: Tool):
    assert_refused(tool("operators", "tir.swop-compare"), "'tir.swop-compare'", "did you mean 'tir.swap-compare'?")


def test_the_markdown_is_equal_to_the_document(tool: Tool):
    document = Path(__file__).parents[2] / "docs" / "operators.md"
    ours = tool("operators", *builtin_catalogue(), "--markdown")
    assert ended(ours) == document.read_text(encoding="utf-8"), (
        "run: tvm-mutate operators --markdown > docs/operators.md"
    )


def test_the_markdown_shows_what_an_operator_changes(tool: Tool):
    text = ended(tool("operators", "tir.loop-extent", "--markdown"))
    assert "-    for i in range(16): B[i] = A[i]\n+    for i in range(15): B[i] = A[i]\n" in text
    assert "* Undefined behaviour possible" in text
    assert "* `by`: how much longer the loop gets; default `-1`" in text


def ended(result) -> str:
    assert (result.code, result.err) == (0, "")
    return result.out
