"""TVM's pipelines with mutations in their slots, from a model to generated code."""

from tvm_mutate.pipeline.codegen import (
    generate,
    kernels_of,
    lower_kernels,
    overridden_global_function,
    rewritten_code,
)
from tvm_mutate.pipeline.flow import TVM_FLOW, Flow
from tvm_mutate.pipeline.lowering import (
    GeneratedCode,
    SiteCounts,
    Stages,
    comes_from_kernel,
    generated_code,
    is_on_graph,
)
from tvm_mutate.pipeline.lowering_cache import Fused, LoweringCache
from tvm_mutate.pipeline.pass_lists import (
    PassLists,
    TirPipeline,
    default_relax_pipeline,
    fusing_pipeline,
    pass_names,
    pass_sites,
    passes_in,
    passes_of_pipeline,
    relax_pass_lists,
    tir_pass_lists,
    with_faults,
)
from tvm_mutate.pipeline.tir_pipeline import (
    Selections,
    faulty_pipeline,
    faulty_tir_pipeline,
    slotted_relax_pipeline,
    slotted_tir_pipeline,
)
