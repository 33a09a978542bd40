"""The slots: the only room that knows how TVM's pipelines are put together."""

from tvm_mutate.pipeline.folding import FoldingCache
from tvm_mutate.pipeline.generating import PASS_CONFIG, generate
from tvm_mutate.pipeline.legalising import LegalisingCache
from tvm_mutate.pipeline.relax_pipeline import (
    default_relax_pipeline,
    fusing_pipeline,
    memory_pipeline,
    scheduling_pipeline,
)
from tvm_mutate.pipeline.slots import slotted_relax_pipeline, slotted_tir_pipeline
from tvm_mutate.pipeline.stages import (
    Fused,
    GeneratedCode,
    Selections,
    Stages,
    generated_code,
    kernels_of,
    lower_to_door,
)

__all__ = [
    "PASS_CONFIG",
    "FoldingCache",
    "Fused",
    "GeneratedCode",
    "LegalisingCache",
    "Selections",
    "Stages",
    "default_relax_pipeline",
    "fusing_pipeline",
    "generate",
    "generated_code",
    "kernels_of",
    "lower_to_door",
    "memory_pipeline",
    "scheduling_pipeline",
    "slotted_relax_pipeline",
    "slotted_tir_pipeline",
]
