"""PrimFuncs of a lowered module, and the TIR pipeline up to the doors at which mutations act."""

from __future__ import annotations

import tvm
from tvm import tirx
from tvm.target import Target
from tvm.tirx.build import split_host_device_mods

from tvm_mutate.mutant import Slot


def kernels_of(lowered: tvm.IRModule) -> tvm.IRModule:
    """The PrimFuncs of a module after the Relax pipeline, in a module of their own."""
    functions = {
        variable: function for variable, function in lowered.functions.items() if isinstance(function, tirx.PrimFunc)
    }
    return tvm.IRModule(functions, attrs=lowered.attrs)


def host_of(target: Target) -> Target:
    """The target of the host functions: a CPU target is its own."""
    return target.host or (target if target.kind.name in ("llvm", "c") else Target("llvm"))


def lower_to_door(kernels: tvm.IRModule, target: Target, slot: Slot, pipeline: str = "default") -> tvm.IRModule:
    """PrimFuncs after the TIR pipeline (slot ``lowered``) and its finalizers (slot ``codegen``), host and device."""
    body, finalize_host, finalize_device = tirx.get_tir_pipeline(pipeline)
    module = body(tirx.transform.BindTarget(target.with_host(host_of(target)))(kernels))
    if slot is Slot.LOWERED:
        return module
    host_module, device_modules = split_host_device_mods(module)
    functions = dict(finalize_host()(host_module).functions)
    for device_module in device_modules.values():
        functions.update(finalize_device()(device_module).functions)
    return tvm.IRModule(functions)
