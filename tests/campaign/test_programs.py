"""A campaign on a program of two inputs and six outputs that is no classifier, with every report of it."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console

from tests import every_dtype
from tvm_mutate.campaign import Campaign, Specification, prepare_subject
from tvm_mutate.device import parse_device
from tvm_mutate.oracle import Verdict
from tvm_mutate.report import render_score, render_summary, render_survivors, write_csv
from tvm_mutate.results import EvaluationPath, MutantRow, Results
from tvm_mutate.studies.paper import paper_comparison, paper_table

# What may differ between a mutant that is run kernel by kernel and one that is rebuilt.
HOW = {
    "build_seconds", "run_seconds", "evaluation", "evaluation_reason", "kernel_runs", "kernel_seconds", "masked_by",
    "code_digest", "duplicate_of", "latency", "undefined", "rung", "proof",
}  # fmt: skip
ORACLES = ("tolerance", "ulps", "bitwise")


def test_a_program_that_is_no_classifier_has_verdicts_numbers_and_reports_but_no_labels(tmp_path: Path):
    names = [each.name for each in every_dtype.model()["main"].params]
    arrays = every_dtype.samples().arrays
    np.savez(tmp_path / "inputs.npz", **dict(zip(names, arrays, strict=True)))
    (tmp_path / "prepared").mkdir()
    subject = prepare_subject(every_dtype.__file__, str(tmp_path / "inputs.npz"), tmp_path / "prepared")

    def run(name: str, rebuild: bool) -> Results:
        specification = Specification(sites="sample:12", seed=1, oracles=ORACLES, rebuild=rebuild)
        return Campaign([subject], [parse_device("llvm")], specification, tmp_path / name, workers=1).run()

    fast, rebuilt = run("fast", rebuild=False), run("rebuilt", rebuild=True)
    assert fast.baselines[0].labels is None and all(canary.ok for canary in fast.canaries)
    assert EvaluationPath.CONTENT in {row.evaluation for row in fast.mutants}

    def outcome(row: MutantRow) -> dict:
        return {name: value for name, value in msgspec.to_builtins(row).items() if name not in HOW}

    pairs = list(zip(fast.mutants, rebuilt.mutants, strict=True))
    defined = [pair for pair in pairs if not pair[0].undefined]
    assert len(defined) >= 8
    assert [outcome(row) for row, _ in defined] == [outcome(row) for _, row in defined]
    for row in fast.mutants:
        assert (row.labels, row.changed_labels, row.dissimilarity, row.kendall_tau) == (None,) * 4
        assert row.rung != "label changed"
        assert [each.oracle.partition("{")[0] for each in row.noticed] == list(ORACLES)
    # Bits differ wherever another oracle notices something.
    noticed = {
        name: {row.id for row in fast.mutants for each in row.noticed if each.oracle.startswith(name) and each.inputs}
        for name in ORACLES
    }
    assert noticed["tolerance"] <= noticed["bitwise"] and noticed["ulps"] <= noticed["bitwise"]
    assert noticed["tolerance"] == {row.id for row in fast.mutants if row.verdict is Verdict.KILLED}

    console = Console(width=100, record=True, file=(tmp_path / "terminal.txt").open("w"))
    tables = [*render_summary(fast, {}, whole=True), paper_table(paper_comparison(fast))]
    for part in [*tables, *render_survivors(fast, 5), *render_score(fast, {})]:
        console.print(part)
    assert "Noticed by each oracle" in console.export_text()
    with write_csv(fast, tmp_path)[0].open(newline="") as file:
        cells = {row["id"]: (row["changed_labels"], row["noticed bitwise"]) for row in csv.DictReader(file)}
    assert {mutant for mutant, (_, inputs) in cells.items() if int(inputs)} == noticed["bitwise"]
    assert {labels for labels, _ in cells.values()} == {""}
