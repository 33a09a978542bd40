"""Connectives of conditions exchanged or left out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from small_kernels import INDEX, UNTOUCHED, assert_same_bits, ramp, run, sites, statement

AND = statement("if 3 <= i and i < 9:\n            B[i] = A[i]")
OR = statement("if i < 3 or 9 <= i:\n            B[i] = A[i]")
CHAIN = statement("if (3 <= i and i < 9) and A[i] < T.float32(0):\n            B[i] = A[i]")
FAULTS: list[tuple[str, str, str, Callable[[np.ndarray], np.ndarray]]] = [
    (AND, "tir.swap-logic", "0", lambda i: i >= 0),
    (OR, "tir.swap-logic{from=or}", "0", lambda i: i < 0),
    (AND, "tir.drop-operand", "0", lambda i: i >= 3),
    (AND, "tir.drop-operand{operand=left}", "0", lambda i: i < 9),
    (OR, "tir.drop-operand", "0", lambda i: i < 3),
    (OR, "tir.drop-operand{operand=left}", "0", lambda i: i >= 9),
    (CHAIN, "tir.drop-operand", "0", lambda i: (i >= 3) & (ramp() < 0)),
    (CHAIN, "tir.drop-operand", "1", lambda i: (i >= 3) & (i < 9)),
]


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
@pytest.mark.parametrize(("script", "mutant", "site", "holds"), FAULTS)
def test_the_mutated_condition_decides(
    script: str, mutant: str, site: str, holds: Callable[[np.ndarray], np.ndarray], slot: str
):
    computed = run(script, mutant, ramp(), ramp(), slot=slot, site=site)
    assert_same_bits(computed, np.where(holds(INDEX), ramp(), np.float32(UNTOUCHED)))


def test_a_condition_without_connectives_is_no_site():
    assert not sites(statement("if i < 3:\n            B[i] = A[i]"), "tir.drop-operand")
