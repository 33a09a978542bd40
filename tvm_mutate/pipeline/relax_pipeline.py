"""The Relax pipeline of a target, in three parts: fusing, scheduling, memory."""

from __future__ import annotations

import importlib
from types import ModuleType

import tvm
from tvm import relax
from tvm.target import Target


def fusing_pipeline() -> tvm.transform.Pass:
    """Legalisation and fusion, the same for all targets: each operator becomes one call of a kernel.

    ``DecomposeOpsForInference`` comes first because batch normalisation has no kernel of its own, and ``zero``
    because the default CPU pipeline alone fuses nothing.
    """
    return tvm.transform.Sequential(
        [relax.transform.DecomposeOpsForInference(), relax.get_pipeline("zero")], name="tvm_mutate.fusing_pipeline"
    )


def scheduling_pipeline(target: Target) -> tvm.transform.Pass:
    """The first half of TVM's default pipeline of the target: library dispatch, fusion, schedules on GPUs, views.

    What comes out calls each kernel on values, and the kernels are as the slot ``kernel`` sees them. Kernels that only
    reshape have become views by then, and are gone: a mutant there would be in code that never runs (and
    RewriteDataflowReshape, which looks at a kernel's indices but not at its loops, would take it for a view, too).
    """
    return tvm.transform.Sequential(scheduling_passes(target), name="tvm_mutate.scheduling_pipeline")


def scheduling_passes(target: Target) -> list[tvm.transform.Pass]:
    """The passes of :func:`scheduling_pipeline`."""
    passes = _backend(target)
    return [
        *passes.library_dispatch_passes(target),
        *passes.legalize_passes(target),
        relax.transform.RewriteDataflowReshape(),
        relax.transform.DeadCodeElimination(),
    ]


def memory_pipeline(target: Target) -> tvm.transform.Pass:
    """The second half: memory planning and calls of the VM."""
    return tvm.transform.Sequential(memory_passes(target), name="tvm_mutate.memory_pipeline")


def memory_passes(target: Target) -> list[tvm.transform.Pass]:
    """The passes of :func:`memory_pipeline`."""
    passes = _backend(target)
    dataflow = [each for each in passes.dataflow_lower_passes(target) if each.info.name != "RewriteDataflowReshape"]
    return [*dataflow, *passes.finalize_passes(target)]


def default_relax_pipeline(target: Target) -> tvm.transform.Pass:
    """The whole default Relax pipeline: fusing, scheduling, memory."""
    return tvm.transform.Sequential(
        [fusing_pipeline(), scheduling_pipeline(target), memory_pipeline(target)],
        name="tvm_mutate.default_relax_pipeline",
    )


def _backend(target: Target) -> ModuleType:
    """The room of TVM that has the target's passes, as ``relax.get_default_pipeline`` chooses it, and ``c``."""
    if "gpu" not in target.keys:
        room = "cpu_generic"
    elif target.kind.name in ("cuda", "rocm"):
        room = target.kind.name
    else:
        room = "adreno" if "adreno" in target.keys else "gpu_generic"
    return importlib.import_module(f"tvm.relax.backend.{room}.pipeline")
