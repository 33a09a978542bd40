"""The Relax pipeline of a target: from a model as imported to kernels that the Relax VM can call."""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.backend import cpu_generic, gpu_generic
from tvm.target import Target


def fusing_pipeline() -> tvm.transform.Pass:
    """Legalisation and fusion, the same for all targets: each operator becomes one call of a kernel.

    ``DecomposeOpsForInference`` comes first because batch normalisation has no kernel of its own, and ``zero``
    because the default CPU pipeline alone fuses nothing.
    """
    return tvm.transform.Sequential(
        [relax.transform.DecomposeOpsForInference(), relax.get_pipeline("zero")], name="tvm_mutate.fusing_pipeline"
    )


def backend_pipeline(target: Target) -> tvm.transform.Pass:
    """TVM's own default pipeline of the target: schedules on GPUs, memory planning, calls of the VM."""
    if "gpu" not in target.keys:
        return cpu_generic.get_default_pipeline(target)  # relax.get_default_pipeline refuses the target "c"
    try:
        return relax.get_default_pipeline(target)
    except ValueError:
        return gpu_generic.get_default_pipeline(target)


def default_relax_pipeline(target: Target) -> tvm.transform.Pass:
    """The whole default Relax pipeline: :func:`fusing_pipeline`, then :func:`backend_pipeline`."""
    return tvm.transform.Sequential(
        [fusing_pipeline(), backend_pipeline(target)], name="tvm_mutate.default_relax_pipeline"
    )
