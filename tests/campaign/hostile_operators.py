"""Operators whose mutants crash, hang, do not compile, write out of bounds or take all memory.

Installed into campaigns as a third party's package would be, through an entry point.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from tvm import tirx
from tvm.ir import Var, prim

from tvm_mutate.mutant import Category, Example, Operator, Slot, TirRule

FAR = 1 << 40
BEYOND = 64


def moved_store(store: Any, distance: int) -> Any:
    return tirx.BufferStore(store.buffer, store.value, [*store.indices[:-1], store.indices[-1] + distance])


def crash(store: Any, _parameters: Any) -> Any:
    return moved_store(store, FAR)


def write_beyond(store: Any, _parameters: Any) -> Any:
    return moved_store(store, BEYOND)


def hang(store: Any, _parameters: Any) -> Any:
    return tirx.While(prim.LT(store.value, prim.FloatImm("float32", 1e30)), store)


def is_evaluated() -> bool:
    """Sites are counted in workers; only a child that evaluates a mutant leads a process group."""
    return os.getpgrp() == os.getpid()


def raise_always(_store: Any, _parameters: Any) -> Any:
    raise ValueError("no such place")


def raise_late(store: Any, _parameters: Any) -> Any:
    return raise_always(store, {}) if is_evaluated() else moved_store(store, 0)


def take_memory(store: Any, _parameters: Any) -> Any:
    if is_evaluated():
        taken = []
        while len(taken) < 256:  # of a GiB, never touched: without a limit nobody is harmed
            taken.append(np.empty(1 << 30, "uint8"))
    return moved_store(store, 0)


def not_compile(store: Any, _parameters: Any) -> Any:
    return tirx.BufferStore(store.buffer, Var("nowhere", "float32"), store.indices)


def hostile(name: str, rewrite: Any) -> Operator:
    return Operator(
        name=f"tir.hostile-{name}",
        slots=(Slot.KERNEL,),
        category=Category.KERNEL_STORES,
        description="does what no mutant should",
        rule=TirRule((tirx.BufferStore,), rewrite),
        examples=(Example("", ""),),
        undefined_behaviour=True,
    )


OPERATORS = [
    hostile("crash", crash),
    hostile("write-beyond", write_beyond),
    hostile("hang", hang),
    hostile("take-memory", take_memory),
    hostile("not-compile", not_compile),
    hostile("raise", raise_always),
    hostile("raise-late", raise_late),
]
