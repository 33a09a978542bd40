"""The slots: the only room that knows how TVM's pipelines are put together."""

from tvm_mutate.pipeline.folding import FoldingCache
from tvm_mutate.pipeline.legalising import LegalisingCache
from tvm_mutate.pipeline.relax_pipeline import (
    default_relax_pipeline,
    fusing_pipeline,
    memory_pipeline,
    scheduling_pipeline,
)
from tvm_mutate.pipeline.slots import slotted_relax_pipeline, slotted_tir_pipeline
from tvm_mutate.pipeline.stages import Fused, Selections, Stages, kernels_of, lower_to_door

__all__ = [
    "FoldingCache",
    "Fused",
    "LegalisingCache",
    "Selections",
    "Stages",
    "default_relax_pipeline",
    "fusing_pipeline",
    "kernels_of",
    "lower_to_door",
    "memory_pipeline",
    "scheduling_pipeline",
    "slotted_relax_pipeline",
    "slotted_tir_pipeline",
]
