"""The operators that come with tvm_mutate, family by family."""

from __future__ import annotations

import functools

from tvm_mutate.mutant import Catalogue
from tvm_mutate.operators import (
    accumulations,
    arithmetic_nodes,
    arithmetic_types,
    axes,
    bounds,
    buffers,
    canaries,
    casts,
    conditions,
    connections,
    device_memory,
    device_threads,
    exchanges,
    layer_nodes,
    layers,
    layouts,
    loop_nests,
    loops,
    node_inputs,
    normalisations,
    reduction_ranges,
    reductions,
    resizing,
    stored_values,
    stores,
    thresholds,
    weight_order,
    weight_values,
    windows,
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
    layers,
    connections,
    exchanges,
    casts,
    axes,
    windows,
    reductions,
    normalisations,
    bounds,
    resizing,
    weight_values,
    weight_order,
    stored_values,
    accumulations,
    buffers,
    reduction_ranges,
    loop_nests,
    device_memory,
    device_threads,
    canaries,
)


@functools.cache
def builtin_catalogue() -> Catalogue:
    """The catalogue of all operators of tvm_mutate, in the order of their families."""
    return Catalogue(operator for family in _FAMILIES for operator in family.OPERATORS)
