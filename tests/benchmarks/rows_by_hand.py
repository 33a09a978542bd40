"""Results of two ways of evaluation, written by hand, as the content of results.json."""

from __future__ import annotations

import copy
from typing import Any

SAME, OTHER, GARBAGE = "aa", "bb", "cc"


def row(mutant: str, **more: Any) -> dict[str, Any]:
    """A mutant that was evaluated by content, whose fault got to the output but changed no label."""
    return {
        "id": mutant,
        "model": "resnet",
        "device": "llvm",
        "evaluation": "content",
        "evaluation_reason": "",
        "kernel_runs": 3,
        "undefined": [],
        "masked_by": [],
        "verdict": "survived",
        "rung": "propagated",
        "outcome": "completed",
        "reason": "top-1 noticed none of 4 inputs",
        "outputs_digest": SAME,
        "proof": None,
        "duplicate_of": None,
        "build_seconds": 0.5,
        "run_seconds": 0.25,
        "kernel_seconds": 0.125,
        "latency": None,
        **more,
    }


def results(*rows: dict[str, Any]) -> dict[str, Any]:
    baseline = {"model": "resnet", "device": "llvm", "digest": "ef", "build_seconds": 1.0, "run_seconds": 0.5}
    sections = {name: [] for name in ("models", "devices", "canaries", "absent", "discrepancies")}
    return {**sections, "baselines": [baseline], "mutants": list(rows)}


def slower(content: dict[str, Any]) -> dict[str, Any]:
    """The same results of a slower machine."""
    content = copy.deepcopy(content)
    for each in [*content["mutants"], *content["baselines"]]:
        each["build_seconds"] *= 3
        for name in ("run_seconds", "kernel_seconds"):
            if each.get(name) is not None:
                each[name] *= 3
    return content


def rebuilt(content: dict[str, Any]) -> dict[str, Any]:
    """What rebuilding everything gives for the same mutants."""
    content = slower(content)
    for each in content["mutants"]:
        each.update(evaluation="rebuild", evaluation_reason="", kernel_runs=None, undefined=None, masked_by=None)
    return content
