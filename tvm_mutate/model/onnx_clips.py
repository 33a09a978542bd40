"""Restores the clip nodes that the ONNX importer takes apart into two kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax


def restore_clips(module: tvm.IRModule) -> tvm.IRModule:
    """The module with every clip that the importer took apart put together again; others are left as they are.

    TVM imports ONNX's Clip with constant bounds as call_tir(minimum, call_tir(maximum, x, low), high), with a check of
    each bound for NaN (python/tvm/relax/frontend/onnx). A ReLU6 would then be no layer that a graph operator can find.
    """
    restorer = _ClipRestorer(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            restorer.builder_.update_func(variable, restorer.visit_expr(function))
    if not restorer.restored:
        return module
    module = relax.transform.RemoveUnusedOutputs()(restorer.builder_.get())
    return relax.transform.DeadCodeElimination()(module)


@relax.expr_functor.mutator
class _ClipRestorer(relax.PyExprMutator):
    restored = 0

    def visit_call_(self, call: relax.Call) -> Any:
        call = self.visit_expr_post_order(call)
        inner = self._bounded(call, "minimum")
        outer = inner and self._bounded(self.lookup_binding(inner[0]), "maximum")
        if not inner or not outer:
            return call
        self.restored += 1
        return relax.op.clip(outer[0], outer[1], inner[1])

    def _bounded(self, call: Any, kernel: str) -> tuple[Any, float] | None:
        """The data and the bound of a call_tir of TOPI's minimum or maximum with a constant bound."""
        if not isinstance(call, relax.Call) or call.op.name != "relax.call_tir":
            return None
        if call.args[0].name_hint.rstrip("0123456789") != kernel:
            return None
        data, bound = call.args[1].fields
        value = self._constant(bound)
        return (data, value) if isinstance(data, relax.Var) and value is not None else None

    def _constant(self, bound: Any) -> float | None:
        """A bound's value, seen through where(isnan(c), inf, c)."""
        if isinstance(bound, relax.Var):
            guard = self.lookup_binding(bound)
            if not isinstance(guard, relax.Call) or guard.op.name != "relax.where":
                return None
            bound = guard.args[2]
        if not isinstance(bound, tvm.ir.GenericConst):
            return None
        value = bound.value.numpy()
        return float(value.reshape(-1)[0]) if value.size == 1 and not np.isnan(value).any() else None
