"""Mutants that convert numbers to integers: undefined only where these do not fit."""

from __future__ import annotations

import pytest

from tvm_mutate.evaluate.memory import CONVERSION

from .conftest import Both


@pytest.mark.parametrize("type_", ["int8", "int16"])
def test_the_initial_value_of_a_maximum_fits_no_integer_and_the_outputs_of_a_layer_do(both: Both, type_: str):
    pooling = both.run(f"tir.store-through{{type={type_}}}@max_pool2d#*")
    layer = both.run(f"tir.store-through{{type={type_}}}@fused_conv2d_add_relu#*")
    assert CONVERSION in (pooling.undefined or ())
    assert layer.undefined == ()
    assert layer.infected
