"""Mutants of a suite that leave the buffers of their kernel are called undefined, as in a campaign."""

from __future__ import annotations

import zlib

import pytest
import tvm.script

from tvm_mutate.evaluate.memory import READ, WRITE
from tvm_mutate.mutant import Mutation, Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.suite.recording import KernelText
from tvm_mutate.suite.verdicts import locate

COPY = """
@T.prim_func(s_tir=True)
def copy(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = A[i]
"""


@pytest.mark.parametrize(
    ("mutant", "undefined"),
    [
        ("tir.loop-extent{by=1,slot=kernel}@copy#0", (READ, WRITE)),
        ("tir.scale-store{slot=kernel}@copy#0", ()),
    ],
)
def test_an_index_outside_a_buffer_is_undefined_behaviour(mutant: str, undefined: tuple[str, ...]):
    text = KernelText("copy", {}, {Slot.KERNEL: zlib.compress(tvm.ir.save_json(tvm.script.from_source(COPY)).encode())})
    (mutation,) = builtin_catalogue().parse(mutant).mutations
    located = locate(
        Mutation(mutation.operator, mutation.parameters, "abc", mutation.sites), {"abc": text}, builtin_catalogue()
    )
    assert located.name == "copy" and "B[i]" in located.difference
    assert located.undefined == undefined
