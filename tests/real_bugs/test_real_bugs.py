"""Real bugs of compilers: each mutant makes the wrong program from the right one, and the values differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import relax

from tests.passes.tir_interpreter import run_threads
from tests.real_bugs.__main__ import document
from tests.real_bugs.real_bug import Made, RealBug, real_bugs
from tvm_mutate.mutant import Mutant, Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations, mutant_passes
from tvm_mutate.pipeline import Flow, generate, relax_pass_lists, slotted_tir_pipeline

CATALOGUE = builtin_catalogue()
UNWRITTEN = 99  # what output buffers contain before a kernel runs
MADE = [pytest.param(bug, id=bug.reference) for bug in real_bugs() if bug.made is not Made.NOT]


@pytest.mark.parametrize("bug", MADE)
def test_the_mutant_makes_the_bug_and_other_values(bug: RealBug):
    right = module_of(bug.right)
    selections = [Selection.resolve(mutation, CATALOGUE) for mutation in CATALOGUE.parse(bug.mutant).mutations]
    mutated, report = apply_mutations(right, selections)
    tvm.ir.assert_structural_equal(mutated, module_of(bug.wrong))
    assert all(applied.changed for applied in report)
    in_its_slot = selections[0].slot in (Slot.LOWERED, Slot.CODEGEN) and not on_threads(bug)
    differs = values(right, bug), values(right, bug, bug.mutant) if in_its_slot else values(mutated, bug)
    assert not all(np.array_equal(*each, equal_nan=True) for each in zip(*differs, strict=True))


def module_of(script: str) -> tvm.IRModule:
    parsed = tvm.script.from_source(script)
    return parsed if isinstance(parsed, tvm.IRModule) else tvm.IRModule({"main": parsed})


def on_threads(bug: RealBug) -> bool:
    return "thread" in bug.right


def values(module: tvm.IRModule, bug: RealBug, mutant: str = "") -> list[np.ndarray]:
    """What the program computes from the inputs of the bug, with a mutant that acts after the TIR pipeline."""
    main = module["main"]
    if isinstance(main, relax.Function):
        passes = relax_pass_lists(tvm.target.Target("llvm"))["memory"]
        planning = next(at for at, each in enumerate(passes) if each.info.name == "StaticPlanBlockMemory")
        is_planned = "R.memory" in bug.right  # what is lowered again would be copied where it is a view
        pipeline = tvm.transform.Sequential(list(passes[planning + 1 :])) if is_planned else "default"
        run = relax.VirtualMachine(relax.build(module, "llvm", relax_pipeline=pipeline), tvm.cpu())["main"]
        results = run(*map(tvm.runtime.tensor, bug.inputs))
        return [each.numpy() for each in ([results] if isinstance(results, tvm.runtime.Tensor) else results)]
    buffers = list(main.params)
    outputs = [
        np.full([int(extent) for extent in buffer.ty.shape], UNWRITTEN, str(buffer.ty.dtype))
        for buffer in buffers[len(bug.inputs) :]
    ]
    if on_threads(bug):
        names = [buffer.name for buffer in buffers]
        arrays = run_threads(main, dict(zip(names, [*bug.inputs, *outputs], strict=True)))
        return [arrays[name] for name in names[len(bug.inputs) :]]
    own = mutant_passes(Mutant.parse(mutant), CATALOGUE) if mutant else {}
    with slotted_tir_pipeline(own) as pipeline:
        library = generate(module, tvm.target.Target("llvm"), Flow(mutated=pipeline))
    arguments = [tvm.runtime.tensor(each) for each in (*bug.inputs, *outputs)]
    library["main"](*arguments)
    return [each.numpy() for each in arguments[len(bug.inputs) :]]


def test_the_document_is_made_from_the_files():
    written = Path(__file__).parents[2] / "docs" / "real-bugs.md"
    assert written.read_text(encoding="utf-8") == document(real_bugs()), (
        "run: python -m tests.real_bugs > docs/real-bugs.md"
    )


def test_every_bug_that_is_not_made_exactly_says_why():
    bugs = real_bugs()
    assert len({bug.reference for bug in bugs}) == len(bugs)
    for bug in bugs:
        assert bool(bug.remark) == (bug.made is not Made.EXACTLY), bug.reference
        assert bool(bug.mutant) == (bug.made is not Made.NOT), bug.reference
