"""Real bugs of compilers: each mutant makes the wrong program from the right one, and the values differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm

from tests.real_bugs.__main__ import document
from tests.real_bugs.programs import module_of, program_of, selections_of
from tests.real_bugs.real_bug import Made, RealBug, real_bugs
from tvm_mutate.passes import apply_mutations

MADE = [pytest.param(bug, id=bug.reference) for bug in real_bugs() if bug.made is not Made.NOT]


@pytest.mark.parametrize("bug", MADE)
def test_the_mutant_makes_the_bug_and_other_values(bug: RealBug):
    mutated, report = apply_mutations(module_of(bug.right), selections_of(bug.mutant))
    tvm.ir.assert_structural_equal(mutated, module_of(bug.wrong))
    assert all(applied.changed for applied in report)
    program = program_of(bug)
    right, wrong = (program.build(mutant)(bug.inputs) for mutant in ("", bug.mutant))
    assert not all(np.array_equal(*each, equal_nan=True) for each in zip(right, wrong, strict=True))


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
