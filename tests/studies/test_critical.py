"""Critical magnitudes: bisection finds the smallest noticed fault that trying all sizes finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.rows_by_hand import mutant_row
from tvm_mutate.campaign import Campaign, Pair, Specification, Subject, prepare_subject
from tvm_mutate.campaign.mutant_rows import Baseline
from tvm_mutate.device import parse_device
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Magnitude, Mutation
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, find_sites
from tvm_mutate.pipeline import Stages
from tvm_mutate.results import MutantRow
from tvm_mutate.studies.critical import (
    Bracket,
    CriticalRequest,
    CriticalRow,
    CriticalSite,
    CriticalSpecification,
    CriticalStudy,
    directions,
    find_bracket,
    largest,
    parameter_of,
    render_critical,
    write_critical,
)

CATALOGUE = builtin_catalogue()
SIZED = [name for name, operator in CATALOGUE.items() if any(each.magnitude for each in operator.parameters)]
STEPS = Magnitude(1, 1024)
FACTORS = Magnitude(1e-6, 1e6, logarithmic=True, factor=True)
MOST = 8


@given(st.integers(1, 1024), st.integers(1, 1100))
def test_halving_finds_the_threshold_of_whole_steps_exactly(most: int, threshold: int):
    tried: list[float] = []

    def is_noticed(size: float) -> bool:
        tried.append(size)
        return size >= threshold

    found = find_bracket(STEPS, True, most, 0, is_noticed)
    if threshold > most:
        assert found == Bracket(None, most)
    else:
        assert found == Bracket(threshold, threshold - 1 if threshold > 1 else None)
    assert {each for each in (found.noticed, found.survived) if each is not None} <= set(tried)
    assert len(tried) == len(set(tried)) <= 12


@given(st.floats(1e-6, 1e6), st.sampled_from([0.001, 0.01, 0.5]), st.booleans())
def test_halving_of_logarithmic_sizes_ends_at_a_bracket_as_narrow_as_asked_for(threshold, resolution, whole):
    sizes = Magnitude(1, 2**40, logarithmic=True) if whole else FACTORS
    found = find_bracket(sizes, whole, sizes.most, resolution, lambda size: size >= threshold)
    assert found.noticed is not None and found.noticed >= threshold
    if found.survived is None:
        assert found.noticed == sizes.least
    else:
        assert found.survived < threshold
        assert found.noticed <= found.survived * (1 + resolution) or (whole and found.noticed - found.survived == 1)


def test_a_fault_whose_least_size_is_noticed_and_whose_largest_is_not_is_not_monotone():
    assert find_bracket(STEPS, True, 1024, 0, lambda size: size < 10) == Bracket(1, None, monotone=False)


@given(st.integers(1, 200), st.integers(1, 200))
def test_the_largest_size_that_has_a_site_is_found(bound: int, most: int):
    assert largest(1, most, lambda size: size <= bound) == min(bound, most)


@given(st.floats(1e-6, 1e6), st.booleans(), st.sampled_from([STEPS, FACTORS, Magnitude(1, 1024, neutral=1.0)]))
def test_a_size_has_a_value_on_its_side_of_the_neutral_one(size: float, upwards: bool, sizes: Magnitude):
    assert sizes.is_upwards(sizes.value(size, upwards)) is upwards
    assert sizes.value(2 * size, True) > sizes.value(size, True) > sizes.value(size, False)


def searched(subject: Subject, output: Path, operator: str, **chosen) -> list[CriticalRow]:
    parameter = parameter_of(CATALOGUE[operator], None).name
    specification = CriticalSpecification((operator,), until="killed", parameter=parameter, **chosen)
    study = CriticalStudy(specification)
    return Campaign([subject], [parse_device("llvm")], specification, output, workers=1, study=study).conduct().rows


def test_the_critical_step_is_the_one_that_trying_all_steps_finds(tmp_path: Path):
    subject = prepare_subject("zoo://alexnet", "zoo://digits", tmp_path, limit=2)
    rows = searched(subject, tmp_path / "found", "tir.shift-load-index", sites="sample:3", most=float(MOST), seed=1)
    assert len(rows) == 3
    tried_all = {
        row.id: [f"tir.shift-load-index{{by={-by}}}@{row.id.partition('@')[2]}" for by in range(1, MOST + 1)]
        for row in rows
    }
    ids = [CATALOGUE.parse(mutant) for mutants in tried_all.values() for mutant in mutants]
    specification = Specification(mutants=tuple(map(str, ids)), until="killed")
    every = Campaign([subject], [parse_device("llvm")], specification, tmp_path / "all", workers=1).run().mutants
    killed = {row.id: row.verdict == "killed" for row in every}
    found = 0
    for row in rows:
        by_step = [killed[str(CATALOGUE.parse(mutant))] for mutant in tried_all[row.id]]
        for one in row.tried:
            assert (one.verdict == "killed") == by_step[-one.value - 1]
        if row.critical is None:
            assert not by_step[MOST - 1]
            continue
        assert by_step[-row.critical - 1]
        assert row.critical == -1 or not by_step[-row.critical - 2]
        assert row.survived == (None if row.critical == -1 else row.critical + 1)
        if by_step == sorted(by_step):
            assert by_step.index(True) == -row.critical - 1
            found += 1
    assert found


def test_a_repeated_search_tries_no_size_again_and_gives_the_same_rows(subject: Subject, tmp_path: Path):
    first, again = (
        searched(subject, tmp_path / "out", "tir.offset-store", sites="sample:4", resolution=0.5) for _ in range(2)
    )
    assert first == again
    for row in first:
        assert row.evaluations == len(row.tried) <= 10
        verdicts = [(one.size, one.verdict) for one in row.tried]
        if row.critical is None:  # the scores themselves: all of them rise alike
            assert (row.function, verdicts) == ("matmul", [(2**40, "survived"), (1, "survived")])
        else:
            assert dict(verdicts)[row.critical_size] == "killed"
            assert row.survived * 1.5 >= row.critical > row.survived
    assert {row.function for row in first if row.critical is not None} == {"fused_conv2d_relu"}


def site(mutant: str, stages: Stages, judge: Callable[[str], MutantRow]) -> CriticalSite:
    baseline = Baseline(Pair("alexnet", "llvm"), "", "", (), None, 0.0, (), 0.0, True)
    unused = Subject("alexnet", "", "", "", "", 0)
    operator = CATALOGUE[CATALOGUE.parse(mutant).mutations[0].operator]
    parameter = parameter_of(operator, None).name
    request = CriticalRequest(unused, parse_device("llvm"), mutant, baseline, ("top-1",), 1.0, parameter=parameter)
    return CriticalSite(request, stages, CATALOGUE, judge)


def test_every_size_is_tried_at_the_same_loop_although_shorter_loops_are_no_sites():
    stages = Stages(load_model("zoo://alexnet").module, parse_target("llvm"))
    (function,) = ["fused_conv2d_add_relu"]
    anywhere = CATALOGUE.parse(f"tir.loop-extent@{function}#*").mutations[0]

    def loops(mutation: Mutation) -> dict[int, str]:
        selection = Selection.resolve(mutation, CATALOGUE)
        return {each.ordinal: each.before for each in find_sites(stages.at(selection.slot), selection)}

    for ordinal, loop in loops(anywhere).items():
        tried: list[Mutation] = []

        def judge(mutant: str, tried: list[Mutation] = tried) -> MutantRow:
            tried.append(CATALOGUE.parse(mutant).mutations[0])
            return mutant_row(id=mutant, verdict="killed" if len(tried) % 2 else "survived")

        row = site(f"tir.loop-extent@{function}#{ordinal}", stages, judge).row()
        extent = 1 - row.largest
        assert f"({extent})" in loop or f"{extent}," in loop or f", {extent}" in loop, (loop, extent)
        for mutation in tried:
            at = mutation.at(function, anywhere.sites)
            assert loops(at)[mutation.sites.first] == loop


def test_variants_that_differ_in_size_only_are_searched_once_a_direction():
    specification = CriticalSpecification(("tir.offset-store", "tir.scale-store"), parameter="ulps")
    assert [str(mutation) for mutation in directions(specification, CATALOGUE)] == [
        "tir.offset-store@*#*",
        "tir.offset-store{sign=plus}@*#*",
        "tir.scale-store@*#*",
        "tir.scale-store{sign=minus}@*#*",
    ]
    specification = CriticalSpecification(("graph.scale-weights",), parameter="factor", all_variants=True)
    assert [str(mutation) for mutation in directions(specification, CATALOGUE)] == [
        "graph.scale-weights@*#*",
        "graph.scale-weights{factor=0.5}@*#*",
    ]


def test_an_operator_without_a_size_is_refused():
    with pytest.raises(UsageError, match=r"tir\.swap-compare has no parameter with a size"):
        parameter_of(CATALOGUE["tir.swap-compare"], None)
    with pytest.raises(UsageError, match="no size named 'ulp'; did you mean 'ulps'"):
        parameter_of(CATALOGUE["tir.offset-store"], "ulp")


@pytest.mark.parametrize("operator", SIZED)
def test_every_size_starts_above_nothing_and_some_variant_has_a_direction(operator: str):
    for parameter in CATALOGUE[operator].parameters:
        if parameter.magnitude is None:
            continue
        assert parameter.kind in (int, float)
        assert 0 < parameter.magnitude.least < parameter.magnitude.most
        specification = CriticalSpecification((operator,), parameter=parameter.name)
        assert list(directions(specification, CATALOGUE))


def tried(size: int, *undefined: str) -> dict[str, Any]:
    return {"size": size, "value": size, "id": "m", "reason": "", "undefined": undefined}


def row_of(critical: int | None, **more: Any) -> CriticalRow:
    row = {"id": "tir.loop-extent@pool#3", "model": "resnet", "device": "llvm", "function": "pool", "parameter": "by"}
    row["operator"] = "tir.loop-extent"
    found = {"critical": critical, "critical_size": critical, "survived": 1, "largest": 7, "monotone": True}
    sizes = [] if critical is None else [tried(critical)]
    mapping = {**row, **found, "evaluations": 4, "tried": sizes, "verdict": "killed", "reason": "", **more}
    return msgspec.convert(mapping, CriticalRow)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (row_of(2), "tir.loop-extent@pool#3 critical: by=2; survived: 1; 4 evaluations"),
        (row_of(None, verdict="survived", survived=7), "none up to 7"),
        (row_of(2, tried=[tried(2, "pool reads outside")]), "by=2 (undefined)"),
        (row_of(2, tried=[tried(5, "pool reads outside")]), "by=2; survived"),
        (row_of(1, monotone=False, survived=None), "by=1, but not 7: not monotone"),
        (row_of(None, verdict=None, reason="the worker died"), "not known: the worker died"),
    ],
)
def test_a_line_of_the_table_shows_the_result_at_a_site(row: CriticalRow, told: str):
    console = Console(width=120)
    with console.capture() as captured:
        console.print(*render_critical([row]))
    words = " ".join(captured.get().split())
    assert " ".join(told.split()) in words


def test_the_file_holds_the_plan_and_every_row(tmp_path: Path):
    rows = [row_of(2), row_of(None, verdict="survived")]
    path = write_critical(rows, {"devices": [["llvm", "llvm"]]}, tmp_path / "out")
    content = json.loads(path.read_text())
    assert (content["schema_version"], content["plan"]) == (1, {"devices": [["llvm", "llvm"]]})
    assert msgspec.convert(content["sites"], list[CriticalRow]) == rows
    assert [each.name for each in path.parent.iterdir()] == ["critical.json"]
