"""Which kernels a fault in the compiler's passes leaves alone, found without generating their code."""

from __future__ import annotations

from collections.abc import Mapping

import tvm
import tvm_ffi
from tvm.tirx import PrimFunc

from tvm_mutate.kernels import module_of
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import PASS_CONFIG, Selections, Stages, lower_to_door, mutated_tir_pipeline


def lowered(functions: Mapping[str, PrimFunc], stages: Stages, selections: Selections) -> dict[str, tvm.ir.BaseFunc]:
    """Structured kernels as code is generated from them, by name, the mutations of the TIR pipeline applied."""
    with (
        tvm.transform.PassContext(config=PASS_CONFIG),
        mutated_tir_pipeline(selections, stages.target) as tir_pipeline,
    ):
        module = lower_to_door(module_of(functions), stages.target, Slot.CODEGEN, tir_pipeline)
    return {variable.name_hint: function for variable, function in module.functions.items()}


def unchanged(before: Mapping[str, tvm.ir.BaseFunc], after: Mapping[str, tvm.ir.BaseFunc]) -> frozenset[str]:
    """The kernels that are lowered to the same; none where a kernel has become several functions."""
    if not after.keys() <= before.keys():
        return frozenset()
    return frozenset(name for name, function in after.items() if tvm_ffi.structural_equal(before[name], function))
