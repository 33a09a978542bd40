"""Accepted survivors: the file, and what a later campaign makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.report.results_by_hand import CAST, NEGATE, completed, make
from tvm_mutate.errors import UsageError
from tvm_mutate.report import report_of_campaign, summarize
from tvm_mutate.results import Results, accept, read_accepted, with_accepted

REASON = 'too "small" to see: ö\n\x7f'


@pytest.fixture
def results() -> Results:
    return make(("llvm",), [completed(CAST, "llvm", [0, 1, 2, 3]), completed(NEGATE, "llvm", [3, 2, 1, 0])], [])


@pytest.fixture
def file(results: Results, tmp_path: Path) -> Path:
    path = tmp_path / "accepted.toml"
    accept(results, [CAST], REASON, path)
    return path


def test_an_accepted_survivor_is_in_no_score_and_reported_apart(results: Results, file: Path):
    (entry,) = read_accepted(file)
    assert (entry.id, entry.model, entry.reason, entry.place_digest) == (CAST, "resnet", REASON, "0123")
    marked, over = with_accepted(results, [entry])
    assert not over
    assert (results.score.killed, results.score.decided) == (1, 2)
    assert (marked.score.killed, marked.score.decided) == (1, 1)
    total = summarize(marked, {}).total
    assert (total.mutants, total.survived, total.accepted, total.score) == (2, 0, 1, marked.score)
    report = report_of_campaign(marked)
    assert {each.id: (each.status, each.reason) for each in report.findings}[CAST] == ("accepted", REASON)
    assert report.survivors == []


def test_an_acceptance_does_not_hold_for_another_function_or_a_killed_mutant(results: Results, file: Path):
    entries = read_accepted(file)
    survivor, killed = results.mutants
    for row in (replace(survivor, place_digest="4567"), replace(survivor, verdict="killed")):
        marked, over = with_accepted(replace(results, mutants=(row, killed)), entries)
        assert marked.mutants == (row, killed)
        assert over == [*entries]
    elsewhere = replace(results, mutants=(killed,))
    assert with_accepted(elsewhere, entries) == (elsewhere, [])  # another operator was run: the entry may still hold


def test_a_second_acceptance_replaces_the_first_and_keeps_the_others(results: Results, file: Path):
    more = replace(results, mutants=(*results.mutants, completed("tir.cast@*#1", "llvm", [0, 1, 2, 3])))
    accept(more, ["tir.cast@*#1", CAST], "other", file)
    assert [(each.id, each.reason) for each in read_accepted(file)] == [("tir.cast@*#1", "other"), (CAST, "other")]


def test_only_a_survivor_is_accepted(results: Results, tmp_path: Path):
    path = tmp_path / "accepted.toml"
    for name, why in ((NEGATE, "it is killed"), ("x@y#0", "do not have it")):
        with pytest.raises(UsageError, match=why):
            accept(results, [name], "a reason", path)
    assert not path.exists()


@pytest.mark.parametrize("text", ["accepted = 3", "[[accepted]]\nid = 'x'", "[[other]]\nx = 1", "accepted = ["])
def test_a_file_with_anything_else_is_refused_by_name(text: str, tmp_path: Path):
    path = tmp_path / "accepted.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"accepted\.toml"):
        read_accepted(path)
