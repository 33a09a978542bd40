"""The Relax pipeline of a target: from a model as imported to kernels that the Relax VM can call."""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.backend import cpu_generic, gpu_generic
from tvm.target import Target


def default_relax_pipeline(target: Target) -> tvm.transform.Pass:
    """TVM's own pipeline for the target, after legalisation and fusion.

    ``DecomposeOpsForInference`` comes first because batch normalisation has no kernel of its own, and ``zero``
    because the default CPU pipeline alone fuses nothing.
    """
    return tvm.transform.Sequential(
        [
            relax.transform.DecomposeOpsForInference(),
            relax.get_pipeline("zero"),
            _backend_pipeline(target),
        ],
        name="tvm_mutate.default_relax_pipeline",
    )


def _backend_pipeline(target: Target) -> tvm.transform.Pass:
    if "gpu" not in target.keys:
        return cpu_generic.get_default_pipeline(target)  # relax.get_default_pipeline refuses the target "c"
    try:
        return relax.get_default_pipeline(target)
    except ValueError:
        return gpu_generic.get_default_pipeline(target)
