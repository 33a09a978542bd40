from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.console import Console, RenderableType

from tests.report.results_by_hand import CAST, CATEGORIES, DROP, SWAP, completed, ended, make
from tvm_mutate.mutant import Category
from tvm_mutate.report import render_score, render_summary, render_survivors
from tvm_mutate.report.oracles import OracleTally, by_oracle
from tvm_mutate.report.tables import percent
from tvm_mutate.results import MutantRow, NoticedRow, Results, Score
from tvm_mutate.studies.paper import paper_comparison, paper_table

WIDTH = 100


def rendered(renderables: list, width: int = WIDTH, encoding: str = "utf-8") -> str:
    """What a console that is no terminal shows."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, newline="\n") as file:
        console = Console(width=width, file=file)
        for each in renderables:
            console.print(each, crop=False)
        file.flush()
        return raw.getvalue().decode(encoding)


def cells(text: str, start: str) -> list[list[str]]:
    """The cells of the lines that begin with a word."""
    return [line.split() for line in text.splitlines() if line.split()[:1] == [start]]


def rendered_whole(results: Results, survivors: int) -> list[RenderableType]:
    """All tables that a campaign prints, the paper's among them."""
    paper = paper_table(paper_comparison(results))
    tables = [*render_summary(results, CATEGORIES, whole=True), paper, *render_survivors(results, survivors)]
    return [*tables, *render_score(results, CATEGORIES)]


def test_the_figures_of_each_category_and_device_are_there(three_devices):
    text = rendered([*render_summary(three_devices, CATEGORIES, whole=True), *render_score(three_devices, CATEGORIES)])
    figures = [row[1:] for row in cells(text, "llvm")]
    assert ["1", "75.0", "1", "0", "0", "0", "0"] in figures
    assert ["2", "12.5", "1", "0", "0", "1", "0"] in figures
    assert ["1", "-", "0", "0", "1", "0", "0"] in [row[1:] for row in cells(text, "v3")]
    assert ["4", "2", "1", "1", "0", "66.7", "20.8", "to", "93.9"] in figures
    assert ["all", "12", "7", "2", "1", "2", "77.8", "45.3", "to", "93.7"] in cells(text, "all")


def test_the_canaries_the_discrepancies_the_paper_and_the_score_are_there(three_devices):
    text = rendered(rendered_whole(three_devices, 1))
    assert ["resnet", "llvm", "survived", "killed"] in cells(text, "resnet")
    worst = f"  {SWAP}\n    100.0 % of inputs, 75.0 % beyond the unmutated builds; resnet on llvm / c: undefined\n"
    assert worst in text
    assert "90.3   100.0" in text
    assert "99.8    75.0" in text
    assert "Not comparable with the paper: other models (resnet here" in text
    assert "3 mutants ended otherwise on one device than on another" in text
    assert "Mutation score 77.8 % (7 of 9 killed; 95 % interval 45.3 to 93.7 %)" in text


@pytest.mark.parametrize("width", [100, 80])
def test_no_line_is_longer_than_the_console_is_wide_and_no_heading_is_cut(three_devices, width):
    text = rendered(rendered_whole(three_devices, 9), width)
    assert max(len(line) for line in text.splitlines() if not line.startswith("To see")) <= width
    for heading in ("dissim. %  degraded  crashed  no build  equiv.  n/a", "score %  95 % interval"):
        assert heading in text
    assert "…" not in text


def test_an_id_is_never_broken_and_a_long_device_loses_nothing():
    mutant = "tir.swap-compare{from=lt,to=le}@" + "fused_conv2d_add_relu_" * 6 + "#3"
    device = "llvm-x86-64-v3"
    row = completed(mutant, "llvm", [0, 1, 2, 3], model="efficientnet_lite")
    results = make(("llvm", "c"), [row, replace(row, device="c", labels=(3, 2, 1, 0))], [])
    named = replace(
        results,
        mutants=tuple(replace(each, device=device) for each in results.mutants),
        discrepancies=tuple(replace(each, devices=(device, "c")) for each in results.discrepancies),
    )
    text = rendered([*render_summary(named, CATEGORIES), *render_survivors(named, 5)], 80)
    assert text.count(f"  {mutant}\n") == 2  # the worst discrepancy, and a survivor on two devices
    assert f"tvm-mutate show '{mutant}' zoo:efficientnet_lite" in text
    assert text.count(device) >= 3
    assert "…" not in text


def test_a_column_of_zeros_is_left_out(three_devices):
    calm = replace(three_devices, mutants=three_devices.mutants[:2], discrepancies=())
    for results, crashed in ((calm, False), (three_devices, True)):
        text = rendered(render_summary(results, CATEGORIES)).partition("dissim. %:")[0]
        assert ("crashed" in text) is crashed
        assert "degraded" in text


def test_categories_without_a_mutant_and_good_canaries_are_in_the_whole_summary_only(three_devices):
    empty = replace(three_devices, mutants=three_devices.mutants[1:2], discrepancies=())
    for whole in (False, True):
        text = rendered(render_summary(empty, CATEGORIES, whole))
        assert ("Conditional Statement Operations" in text) is whole
        assert ("sure kill" in text) is whole
        assert ("Canaries: 6 of 6 as they should be" in text) is not whole
        assert "Arithmetic Types" in text


def test_the_score_comes_last_and_accepted_survivors_are_told_apart(three_devices):
    accepted = [replace(row, accepted="seen" if row.verdict == "survived" else None) for row in three_devices.mutants]
    text = rendered(render_score(replace(three_devices, mutants=tuple(accepted)), CATEGORIES))
    assert "Accepted survivors, in no score: 2" in text
    assert text.splitlines()[-1].startswith("Mutation score 100.0 % (7 of 7 killed")


def test_several_oracles_have_a_table_with_what_only_one_of_them_notices(three_devices):
    def row(mutant: str, **noticed: int) -> MutantRow:
        found = [NoticedRow(oracle=name, inputs=count, number=None) for name, count in noticed.items()]
        return completed(mutant, "llvm", [0, 1, 2, 3], "killed" if noticed["first"] else "survived", noticed=found)

    rows = [
        row("tir.cast@f#0", first=1, second=1, third=0),
        row("tir.cast@f#1", first=0, second=3, third=0),
        row("tir.cast@f#2", first=0, second=0, third=0),
        ended("tir.cast@f#3", "llvm", "crash"),  # every oracle notices it
        ended("tir.cast@f#4", "llvm", "compile error"),  # says nothing of an oracle
        row("tir.cast@f#5", first=0, second=1, third=1),  # a fault of the compiler
    ]
    rows[-1] = replace(rows[-1], category=Category.COMPILER_PASSES)
    assert by_oracle(rows) == [
        OracleTally("first", Score(2, 4), 0),
        OracleTally("second", Score(3, 4), 1),
        OracleTally("third", Score(1, 4), 0),
    ]
    text = rendered(render_score(make(("llvm",), rows, []), CATEGORIES))
    assert ["second", "4", "3", "75.0", "30.1", "to", "95.4", "1"] in cells(text, "second")
    assert "Noticed by each oracle" not in rendered(render_score(three_devices, CATEGORIES))


def test_the_oracle_of_the_verdicts_is_named_for_its_models():
    first = make(("llvm", "c"), [], [])
    other = replace(first.baselines[0], model="encoder", oracles=("cosine",))
    text = rendered(render_score(replace(first, baselines=(*first.baselines, other)), CATEGORIES))
    assert text.splitlines()[:3] == ["Verdicts by top-1: resnet", "", "Verdicts by cosine: encoder"]


def test_the_oracles_of_a_model_are_not_asked_about_another():
    rows = [
        completed(
            "tir.cast@f#0", "llvm", [9] * 4, model=model, noticed=[NoticedRow(oracle=name, inputs=1, number=None)]
        )
        for model, name in (("resnet", "top-1"), ("encoder", "cosine"))
    ]
    crash = ended("tir.cast@f#1", "llvm", "crash", model="encoder")
    assert by_oracle([*rows, crash]) == [OracleTally("top-1", Score(1, 1), 1), OracleTally("cosine", Score(2, 2), 2)]


def test_several_models_have_a_table_each_and_one_together(three_devices):
    more = [replace(row, model="alexnet") for row in three_devices.mutants]
    results = make(("llvm", "v3", "c"), [*three_devices.mutants, *more], [])
    text = rendered(render_summary(results, CATEGORIES, whole=True))
    for title in ("Model resnet", "Model alexnet", "All models"):
        assert title in text
    assert ["llvm", "2", "75.0", "2", "0", "0", "0"] in cells(text, "llvm")


def test_one_device_has_no_discrepancies_and_no_score(one_device):
    text = rendered(rendered_whole(one_device, 1))
    assert "Worst discrepancies" not in text
    assert "one device has nothing to differ from" in text
    assert "Mutation score: none" in text


def test_devices_that_agree_are_said_to_agree():
    rows = [completed(DROP, device, [0, 0, 0, 0]) for device in ("llvm", "v3")]
    text = rendered(render_summary(make(("llvm", "v3"), rows, []), CATEGORIES))
    assert "No mutant was labelled more differently by two devices than the unmutated model." in text
    assert "0 mutants ended otherwise" in text


def test_a_canary_with_an_unexpected_verdict_is_marked(three_devices):
    wrong = (replace(three_devices.canaries[0], verdict=None, ok=False), *three_devices.canaries[2:])
    text = rendered(render_summary(replace(three_devices, canaries=wrong), CATEGORIES))
    assert ["resnet", "llvm", "no", "verdict:", "WRONG", "-"] in cells(text, "resnet")


def test_without_a_terminal_there_are_no_colours_and_no_markup_is_read(three_devices):
    bracketed = [replace(row, id="tir.cast@[bold]*[/bold]#*") for row in three_devices.mutants]
    text = rendered(render_survivors(replace(three_devices, mutants=tuple(bracketed)), 5))
    assert "\x1b" not in text
    assert "[bold]*[/bold]" in text


def test_an_ascii_console_shows_the_whole_report(three_devices):
    text = rendered(rendered_whole(three_devices, 1), 100, "ascii")
    assert text.isascii()


def test_survivors_are_listed_by_their_effect_up_to_the_limit():
    rows = [completed(name, "llvm", [0, 1, 2, 3], max_abs_diff=size) for name, size in ((CAST, 0.5), (SWAP, 2.0))]
    results = make(("llvm",), rows, [])
    lines = rendered(render_survivors(results, 1)).splitlines()
    assert lines == [
        "2 mutants survived, the 1 with the largest effect:",
        f"  {SWAP}",
        "    propagated, outputs differ by up to 2; resnet on llvm",
        f"To see the first: tvm-mutate show '{SWAP}' zoo:resnet --shape input=1,3,32,32",
    ]
    assert rendered(render_survivors(results, 2)).startswith("2 mutants survived, the largest effect first:")
    assert rendered(render_survivors(make(("llvm",), [], []), 5)) == "No mutant survived.\n"


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "-"), (0.0, "0.0"), (1.0, "100.0"), (0.0001, "<0.1"), (0.9999, ">99.9"), (0.1234, "12.3"), (0.998, "99.8")],
)
def test_only_exact_shares_are_written_as_zero_or_a_hundred_percent(share, text):
    assert percent(share) == text
