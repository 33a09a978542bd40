"""Small results, written by hand, whose every figure can be checked on fingers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from tvm_mutate.campaign.discrepancies import Unmutated, find_agreements, find_discrepancies, with_behaviours
from tvm_mutate.model import load_model
from tvm_mutate.model.zoo import GREEDY
from tvm_mutate.results import AbsentRow, MutantRow, Results, SuiteResults, UndefinedRow
from tvm_mutate.samples import Samples, as_samples

GOLDEN = [0, 1, 2, 3]
CATEGORIES = {
    "graph.drop-relu": "Layer Node Replacement",
    "tir.cast": "Arithmetic Types",
    "tir.swap-compare": "Conditional Statement Operations",
}
TARGETS = {"llvm": "llvm", "c": "c", "v3": '{"kind":"llvm","mcpu":"x86-64-v3"}', "cuda": "cuda"}
SLOTS = {"graph": "graph", "tir": "kernel"}


def completed(mutant: str, device: str, labels: list[int], verdict: str | None = None, **more: Any) -> MutantRow:
    """The row of a mutant that gave the four inputs these labels, where golden gives 0, 1, 2, 3."""
    changed = sum(a != b for a, b in zip(labels, GOLDEN, strict=True))
    figures = {
        "bitwise_equal": 4 - changed,
        "changed_labels": changed,
        "dissimilarity": changed / 4,
        "accuracy": 1 - changed / 4,
        "golden_accuracy": 1.0,
        "top_k_overlap": 0.1 + 0.2,
        "max_abs_diff": 1e-17,
        "max_rel_diff": None,
        "nan_count": 0,
        "inf_count": 0,
        "kendall_tau": -1 / 3,
        "rank_biased_overlap": 2 / 3,
        "same_label_for_every_input": len(set(labels)) == 1,
        "labels": labels,
    }
    found = verdict or ("killed" if changed else "survived")
    latency = {"golden_median": 0.5, "mutant_median": 0.25, "ratio": 0.5, "p_value": 0.03, "significant": False}
    ending = {
        "outcome": "completed",
        "verdict": found,
        "rung": "label changed" if changed else "compiled" if found == "equivalent" else "propagated",
        "reason": f"top-1 noticed {changed or 'none'} of 4 inputs",
    }
    return msgspec.convert(
        {**_identity(mutant, device), **ending, "run_seconds": 0.75, **figures, "latency": latency, **more}, MutantRow
    )


def ended(mutant: str, device: str, outcome: str, **more: Any) -> MutantRow:
    """The row of a mutant that did not complete: its figures are None."""
    failed = outcome in ("compile error", "device lost")
    ending = {
        "outcome": outcome,
        "verdict": None if failed else "killed",
        "rung": "applied" if failed else "reached",
        "reason": f'{outcome}: said "stop",\nand stopped',
    }
    figures = dict.fromkeys(MutantRow.__struct_fields__)
    return msgspec.convert({**figures, **_identity(mutant, device), **ending, **more}, MutantRow)


def _identity(mutant: str, device: str) -> dict[str, Any]:
    operator = mutant.partition("@")[0].partition("{")[0]
    return {
        "id": mutant,
        "model": "resnet",
        "operator": operator,
        "category": CATEGORIES[operator],
        "slot": SLOTS[operator.partition(".")[0]],
        "device": device,
        "inputs": 4,
        "sites": 3,
        "functions": 2,
        "build_seconds": 1.5,
        "evaluation": "rebuild",
        "evaluation_reason": "7 kernels changed",
        "kernel_runs": None,
        "kernel_seconds": None,
        "masked_by": None,
        "undefined": None,
        "code_digest": None,
        "outputs_digest": None,
        "proof": None,
        "duplicate_of": None,
        "place_digest": "0123",
        "carried": False,
        "noticed": (),
    }


def scores(labels: list[int]) -> Samples:
    """Scores that give these labels."""
    return as_samples(np.eye(10)[list(labels)])


def examined_row(mutant: str, model: str = "resnet", behaviour: str = "undefined") -> UndefinedRow:
    """What was found of the accesses of a mutant: one that its indices tell, and AddressSanitizer, too."""
    access = {"kernel": "conv", "kind": "read", "expression": "A[i + 1]", "evidence": "indices", "detail": "to 9 of 8"}
    return msgspec.convert({
        "id": mutant, "model": model, "target": "llvm", "behaviour": behaviour, "kernels": ["conv"],
        "accesses": [access, {**access, "evidence": "AddressSanitizer"}] if behaviour == "undefined" else [],
        "indices": "outside in 1 of 1 kernels", "red_zones": "nothing outside",
        "sanitizer": "outside in 1 of 1 kernels",
    }, UndefinedRow)  # fmt: skip


def absent(mutant: str, device: str, model: str = "resnet") -> AbsentRow:
    return AbsentRow(id=mutant, model=model, device=device, reason="no site: a comparison")


def make(devices: tuple[str, ...], mutants: list[MutantRow], absent: list[AbsentRow]) -> Results:
    """The results of these rows; on ``c`` the unmutated model labels one input of four otherwise."""
    models = list(dict.fromkeys(["resnet", *(row.model for row in mutants)]))
    golden = {device: [0, 1, 2, 9] if device == "c" else GOLDEN for device in devices}
    builds = {
        (model, device): Unmutated(golden[device], scores(golden[device])) for model in models for device in devices
    }
    found = find_discrepancies(mutants, builds, devices, lambda row: row.labels and scores(row.labels))
    examined = {(row.model, row.id): examined_row(row.id, row.model) for row in found if row.share}
    pairs = [{"model": model, "device": device} for model in models for device in devices]
    canaries = {"no-op": ("canary.reverse-loop@*#*", "survived"), "sure kill": ("canary.negate@main#*", "killed")}
    mapping = {
        "environment": {"versions": {"apache-tvm": "0.27.0"}, "cores": 2},
        "models": [
            {"name": model, "model_digest": "ab", "inputs_digest": "cd", "input_count": 4, "labels": GOLDEN,
             "shape": [["input", [1, 3, 32, 32]]], "reference": f"zoo:{model}"}
            for model in models
        ],
        "devices": [{"name": device, "target": TARGETS[device]} for device in devices],
        "baselines": [
            {**pair, "digest": "ef", "labels": golden[pair["device"]], "accuracy": 1.0, "build_seconds": 1.5,
             "run_seconds": 0.75, "noise_floor": 0.0, "same_code": True,
             "golden": None, "golden_reason": "", "oracles": ["top-1"]}
            for pair in pairs
        ],
        "canaries": [
            {**pair, "canary": name, "id": mutant, "verdict": verdict, "ok": True, "reason": "as it should"}
            for pair in pairs
            for name, (mutant, verdict) in canaries.items()
        ],
        "mutants": mutants,
        "absent": absent,
        "discrepancies": with_behaviours(found, mutants, examined),
        "agreements": find_agreements(builds, devices),
        "undefined": list(examined.values()),
    }  # fmt: skip
    return msgspec.convert(mapping, Results)


LINEAR = "graph.drop-layer{kind=linear}@decode#0"
SWAP = "tir.swap-compare{from=lt,to=le}@fused_conv2d_add_relu#3"
NEGATE = "tir.swap-compare{from=lt,to=ge}@*#*"
CAST = "tir.cast{to=float16}@*#*"
DROP = "graph.drop-relu@main#*"


def results_of_three_devices() -> Results:
    """Four mutants on three devices: one differs between them, one crashes on one, one compiles on two only."""
    mutants = [
        completed(DROP, "llvm", [0, 0, 0, 0]),
        completed(CAST, "llvm", [0, 1, 2, 3]),
        completed(SWAP, "llvm", [0, 1, 2, 3], "equivalent"),
        completed(NEGATE, "llvm", [0, 1, 2, 9]),
        completed(DROP, "v3", [0, 0, 0, 0]),
        ended(CAST, "v3", "compile error"),
        completed(SWAP, "v3", [0, 1, 2, 3], "no coverage"),
        ended(NEGATE, "v3", "timeout"),
        ended(DROP, "c", "crash"),
        completed(CAST, "c", [0, 1, 2, 9], "survived"),
        completed(SWAP, "c", [3, 2, 1, 9]),
        ended(NEGATE, "c", "exception"),
    ]
    missing = [
        absent("tir.cast{to=int8}@*#*", "llvm"),
        absent("tir.cast@*#*", "llvm"),
        absent("tir.swap-compare@*#*", "c"),
        absent("plugin.odd@*#*", "c"),
    ]
    return make(("llvm", "v3", "c"), mutants, missing)


def results_of_one_device() -> Results:
    """Two mutants on one device: one lost it, one was not applied."""
    not_applied = {"verdict": None, "rung": None, "reason": "not applied: no site was changed", "sites": 0}
    mutants = [ended(SWAP, "cuda", "device lost"), completed(NEGATE, "cuda", GOLDEN, **not_applied)]
    return make(("cuda",), mutants, [])


def results_of_the_decoder() -> Results:
    """A mutant of the zoo's decoder, whose scenario has several calls."""
    row = replace(completed(SWAP, "llvm", [0, 1, 2, 3], model="decoder"), id=LINEAR)
    results = make(("llvm",), [row], [])
    digest = load_model("zoo://decoder").digest
    models = [
        replace(model, reference="zoo://decoder", shape=(), model_digest=digest, scenario=GREEDY)
        for model in results.models
        if model.name == "decoder"
    ]
    return replace(results, models=tuple(models))


def a_test(name: str, file: str, **more: Any) -> dict[str, Any]:
    row = {
        "test": f"{file}::{name}",
        "file": file,
        "outcome": "passed",
        "reason": "",
        "seconds": 0.5,
        "builds": 1,
        "kernels": 1,
        "kernels_executed": 1,
        "kernels_unknown": 0,
        "obstacle": "",
        "filled_memory": True,
        "vanished": "assertion",
        "no_op": "passed",
        "notices": True,
        "reliable": True,
    }
    return row | more


def a_mutant(name: str, verdict: str, trials: list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    killer = trials[-1] if verdict == "killed" else (None, None)
    row = {
        "id": f"{name}@0123456789abcdef#0",
        "operator": name,
        "category": "Kernel Expressions",
        "slot": "kernel",
        "kernel": "0123456789abcdef",
        "name": "main",
        "verdict": verdict,
        "kind": killer[1],
        "killer": killer[0],
        "reason": "",
        "before": "B[i] = A[i]",
        "after": "B[i] = A[0]",
        "difference": "-before\n+after",
        "covering": [test for test, _ in trials],
        "trials": [{"test": test, "kind": kind, "seconds": 0.5, "applied": True} for test, kind in trials],
        "seconds": 0.5 * len(trials),
    }
    return row | more


def results_of_a_suite() -> SuiteResults:
    """Five mutants of a suite with four tests."""
    first, second = "a.py::one", "b.py::two"
    mapping = {
        "schema_version": 1,
        "settings": {
            "mode": "run",
            "operators": ["tir.*"],
            "sites": "first",
            "seed": 0,
            "builds": "all",
            "mutants": [],
        },
        "effort": {
            "trials": 5,
            "trials_reused": 2,
            "mutants_planned": 5,
            "mutants_left_out": 1,
            "seconds_judging": 2.5,
        },
        "tests": (
            a_test("one", "a.py"),
            a_test("two", "b.py", vanished="passed", notices=False),
            a_test("three", "b.py", kernels_executed=0, vanished="passed", notices=False),
            a_test("four", "b.py", outcome="crash", reason="SIGSEGV", vanished=None),
        ),
        "kernels": (
            {"kernel": "0123456789abcdef", "name": "main", "sites": 7, "variants": 3, "built_by": [], "run_by": []},
        ),
        "mutants": (
            a_mutant("tir.x", "killed", [(first, "assertion")]),
            a_mutant("tir.x", "killed", [(first, "passed"), (second, "timeout")], id="tir.x@0123456789abcdef#1"),
            a_mutant("tir.y", "survived", [(first, "passed"), (second, "passed")], reason="ran, values unchanged"),
            a_mutant("tir.y", "no coverage", [], reason="no test builds it", id="tir.y@f#0"),
            a_mutant(
                "pipeline.z",
                "killed",
                [(first, "crash")],
                id="pipeline.z@*#0",
                category="Compiler Passes",
                slot="pipeline",
            ),
        ),
        "operators_without_site": ("tir.none",),
        "environment": {"versions": {}},
    }
    return msgspec.convert(mapping, SuiteResults)
