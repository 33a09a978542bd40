"""What calls in a program do beside giving a value."""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm.ir import Call

_PURE = 1  # TVM's CallEffectKind: calls above it read or change what is not among their arguments


def is_pure(term: Any) -> bool:
    """Whether evaluating the term once more or once less makes no difference."""
    impure = (Call, lambda call: None if has_no_effect(call) else tvm_ffi.VisitInterrupt())
    return tvm_ffi.structural_walk(term, impure) is None


def has_no_effect(call: Call) -> bool:
    """Whether a call, its arguments apart, gives a value of them and does nothing else."""
    effect = call.op.get_attr("TCallEffectKind") if isinstance(call.op, tvm.ir.Op) else None
    return effect is not None and int(effect) <= _PURE
