"""Campaigns with faults in the compiler itself: their outcomes are right, and no score has them in it."""

from __future__ import annotations

from pathlib import Path

from tvm_mutate.campaign import Specification, Subject

from .conftest import campaign

KILLED = "graph.replace-activation{to=tanh}@main#*"
SAME_CODE = "pipeline.skip-pass{pass=tirx.VectorizeLoop}@*#*"
SURVIVOR = "pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*"
REFUSED = "pipeline.skip-pass{pass=s_tir.LowerInitBlock}@*#*"
PLANNED_OTHERWISE = "pipeline.skip-pass{pass=StaticPlanBlockMemory}@*#*"
BOTH = f"{KILLED}+pipeline.skip-pass{{pass=tirx.CommonSubexprElim}}@*#*"


def test_faults_of_the_compiler_end_as_they_do_and_are_in_no_score(subject: Subject, tmp_path: Path):
    mutants = (KILLED, SAME_CODE, SURVIVOR, REFUSED, PLANNED_OTHERWISE, BOTH)
    results = campaign(subject, tmp_path / "out", *mutants).run()
    rows = {row.id: row for row in results.mutants}
    ended = {mutant: (row.outcome, row.verdict, row.evaluation) for mutant, row in rows.items()}
    assert ended == {
        KILLED: ("completed", "killed", "content"),
        SAME_CODE: ("completed", "equivalent", "content"),
        SURVIVOR: ("completed", "survived", "content"),
        REFUSED: ("compile error", None, "content"),
        PLANNED_OTHERWISE: ("completed", "survived", "rebuild"),
        BOTH: ("completed", "killed", "content"),
    }
    assert rows[REFUSED].sites == rows[REFUSED].functions == 2
    assert "planning of memory" in rows[PLANNED_OTHERWISE].evaluation_reason
    assert {row.category for mutant, row in rows.items() if mutant != KILLED} == {"Compiler Passes"}
    assert {row.slot for mutant, row in rows.items() if mutant != KILLED} == {"pipeline"}
    assert results.score.value == 1.0


def test_a_campaign_that_is_asked_for_the_pipeline_takes_nothing_else(subject: Subject, tmp_path: Path):
    asked = campaign(subject, tmp_path / "out")
    asked.specification = Specification(operators=("pipeline",), sites="sample:4", seed=3)
    results = asked.run()
    assert len(results.mutants) == 4
    assert {row.operator.split(".")[0] for row in results.mutants} == {"pipeline"}
    assert results.score.value is None
