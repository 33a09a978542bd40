"""The slots: the only room that knows how TVM's pipelines are put together."""

from tvm_mutate.pipeline.relax_pipeline import default_relax_pipeline
from tvm_mutate.pipeline.slots import slotted_relax_pipeline, slotted_tir_pipeline
from tvm_mutate.pipeline.stages import Stages, kernels_of, lower_to_door, lower_to_kernels

__all__ = [
    "Stages",
    "default_relax_pipeline",
    "kernels_of",
    "lower_to_door",
    "lower_to_kernels",
    "slotted_relax_pipeline",
    "slotted_tir_pipeline",
]
