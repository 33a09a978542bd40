"""The operators that come with tvm_mutate, family by family."""

from __future__ import annotations

import functools

from tvm_mutate.mutant import Catalogue
from tvm_mutate.operators import (
    arithmetic_nodes,
    arithmetic_types,
    axes,
    bounds,
    canaries,
    casts,
    conditions,
    connections,
    exchanges,
    layer_nodes,
    layers,
    layouts,
    loops,
    node_inputs,
    normalisations,
    reductions,
    resizing,
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
    canaries,
)


@functools.cache
def builtin_catalogue() -> Catalogue:
    """The catalogue of all operators of tvm_mutate, in the order of their families."""
    return Catalogue(operator for family in _FAMILIES for operator in family.OPERATORS)
