"""The operators that come with tvm_mutate, family by family."""

from __future__ import annotations

import functools

from tvm_mutate.mutant import Catalogue
from tvm_mutate.operators import (
    accumulations,
    arithmetic_types,
    branches,
    buffers,
    canaries,
    compiler_passes,
    conditions,
    constants,
    device_memory,
    device_threads,
    divisions,
    door_calls,
    door_values,
    extrema,
    float_values,
    graph_structure,
    index_expressions,
    index_order,
    intrinsics,
    layer_attributes,
    llvm_code,
    load_indices,
    logic,
    loop_nests,
    loops,
    narrow_casts,
    nodes,
    reduction_ranges,
    runtime_faults,
    source_code,
    stored_values,
    stores,
    thresholds,
    weights,
)

_FAMILIES = (
    nodes,
    arithmetic_types,
    stores,
    loops,
    conditions,
    thresholds,
    graph_structure,
    layer_attributes,
    weights,
    stored_values,
    accumulations,
    buffers,
    reduction_ranges,
    loop_nests,
    device_memory,
    device_threads,
    float_values,
    constants,
    intrinsics,
    narrow_casts,
    extrema,
    divisions,
    logic,
    branches,
    load_indices,
    index_expressions,
    index_order,
    runtime_faults,
    door_calls,
    door_values,
    llvm_code,
    source_code,
    compiler_passes,
    canaries,
)


@functools.cache
def builtin_catalogue() -> Catalogue:
    """The catalogue of all operators of tvm_mutate, in the order of their families."""
    return Catalogue(operator for family in _FAMILIES for operator in family.OPERATORS)
