"""The slots: the only room that knows how TVM's pipelines are put together."""

from tvm_mutate.pipeline.doors import kernels_of, lower_to_door
from tvm_mutate.pipeline.faulty_tir import faulty_run, faulty_tir_pipeline
from tvm_mutate.pipeline.folding import FoldingCache
from tvm_mutate.pipeline.fused import Fused
from tvm_mutate.pipeline.generated_code import GeneratedCode, generated_code
from tvm_mutate.pipeline.generating import PASS_CONFIG, code_door, generate
from tvm_mutate.pipeline.legalising import LegalisingCache
from tvm_mutate.pipeline.pass_lists import (
    PassLists,
    pass_names,
    pass_sites,
    passes_made_by,
    passes_of_pipeline,
    relax_pass_lists,
    tir_pass_lists,
    with_faults,
)
from tvm_mutate.pipeline.registration import TirPipeline, overridden_global_function
from tvm_mutate.pipeline.relax_pipeline import (
    default_relax_pipeline,
    fusing_pipeline,
    memory_pipeline,
    scheduling_pipeline,
)
from tvm_mutate.pipeline.side_by_side import PassParting, differing_functions, find_pass_parting
from tvm_mutate.pipeline.slots import Selections, mutated_tir_pipeline, slotted_relax_pipeline, slotted_tir_pipeline
from tvm_mutate.pipeline.stages import Stages, comes_from_kernel

__all__ = [
    "PASS_CONFIG",
    "FoldingCache",
    "Fused",
    "GeneratedCode",
    "LegalisingCache",
    "PassLists",
    "PassParting",
    "Selections",
    "Stages",
    "TirPipeline",
    "code_door",
    "comes_from_kernel",
    "default_relax_pipeline",
    "differing_functions",
    "faulty_run",
    "faulty_tir_pipeline",
    "find_pass_parting",
    "fusing_pipeline",
    "generate",
    "generated_code",
    "kernels_of",
    "lower_to_door",
    "memory_pipeline",
    "mutated_tir_pipeline",
    "overridden_global_function",
    "pass_names",
    "pass_sites",
    "passes_made_by",
    "passes_of_pipeline",
    "relax_pass_lists",
    "scheduling_pipeline",
    "slotted_relax_pipeline",
    "slotted_tir_pipeline",
    "tir_pass_lists",
    "with_faults",
]
