"""An operator whose mutants wait at a gate, so that a campaign can be stopped at a known moment.

Installed into campaigns as a third party's package would be, through an entry point.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Slot, TirRule

GATE = "TVM_MUTATE_TEST_GATE"


def wait_and_offset(store: Any, _parameters: Any) -> Any:
    gate = Path(os.environ[GATE])
    # Sites are counted in workers, and must be: only a child that evaluates a mutant leads a process group.
    while os.getpgrp() == os.getpid() and (gate / "closed").exists():
        (gate / "reached").touch()
        time.sleep(0.01)
    return tirx.BufferStore(store.buffer, prim.Add(store.value, prim.FloatImm("float32", 1.0)), store.indices)


OPERATORS = [
    Operator(
        name="tir.gated-store",
        slots=(Slot.KERNEL,),
        category=Category.KERNEL_STORES,
        description="waits at the gate, then stores one more",
        rule=TirRule((tirx.BufferStore,), wait_and_offset),
        examples=(Example("", ""),),
    )
]
