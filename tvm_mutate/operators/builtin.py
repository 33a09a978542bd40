"""The operators that come with tvm_mutate, family by family."""

from __future__ import annotations

import functools

from tvm_mutate.mutant import Catalogue
from tvm_mutate.operators import (
    arithmetic_nodes,
    arithmetic_types,
    branches,
    canaries,
    conditions,
    constants,
    divisions,
    extrema,
    float_values,
    index_expressions,
    index_order,
    intrinsics,
    layer_nodes,
    layouts,
    load_indices,
    logic,
    loops,
    narrow_casts,
    node_inputs,
    stores,
    thresholds,
)

_FAMILIES = (
    node_inputs,
    arithmetic_nodes,
    layer_nodes,
    layouts,
    arithmetic_types,
    stores,
    loops,
    conditions,
    thresholds,
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
    canaries,
)


@functools.cache
def builtin_catalogue() -> Catalogue:
    """The catalogue of all operators of tvm_mutate, in the order of their families."""
    return Catalogue(operator for family in _FAMILIES for operator in family.OPERATORS)
