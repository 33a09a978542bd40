"""Operators whose mutants do what no mutant should, offered to campaigns as a third party's package would be.

Unlike the hostile operators of the tests these fit any kernel: whatever its shapes, types and loops.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.ir import Var, prim

from tvm_mutate.mutant import Category, Example, Operator, Slot, TirRule

FAR = 1 << 40
OVERWRITTEN_BYTES = 16 << 20


def crash(store: Any, _parameters: Any) -> Any:
    """Stores a terabyte away."""
    return _moved(store, FAR)


def hang(store: Any, _parameters: Any) -> Any:
    """Stores again and again, without an end."""
    return tirx.While(prim.GE(store.indices[-1], _index(store, 0)), store)


def overwrite(store: Any, _parameters: Any) -> Any:
    """Stores what belongs into the buffer into all of the 16 MiB behind it, too."""
    shape = [int(size) for size in store.buffer.shape]
    count = 1
    for size in shape:
        count *= size
    copies = -(-OVERWRITTEN_BYTES // (4 * count))
    copy = Var("copy", store.indices[0].ty)
    first = store.indices[0] + (copy + _index(store, 1)) * _index(store, shape[0])
    beyond = tirx.BufferStore(store.buffer, store.value, [first, *store.indices[1:]])
    loop = tirx.For(copy, _index(store, 0), _index(store, copies), tirx.ForKind.SERIAL, beyond)
    return tirx.SeqStmt([store, loop])


def _moved(store: Any, distance: int) -> Any:
    return tirx.BufferStore(store.buffer, store.value, [*store.indices[:-1], store.indices[-1] + distance])


def _index(store: Any, value: int) -> Any:
    return tirx.const(value, str(store.indices[-1].ty.dtype))


def _hostile(name: str, rewrite: Any) -> Operator:
    return Operator(
        name=f"tir.hostile-{name}",
        slots=(Slot.KERNEL,),
        category=Category.KERNEL_STORES,
        description="does what no mutant should",
        rule=TirRule((tirx.BufferStore,), rewrite),
        examples=(Example("", ""),),
        undefined_behaviour=True,
    )


OPERATORS = [_hostile("crash", crash), _hostile("hang", hang), _hostile("overwrite", overwrite)]
