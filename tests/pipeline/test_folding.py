"""Constant folding with cached kernels."""

from __future__ import annotations

import pytest
import tvm

from tvm_mutate.model import load_model
from tvm_mutate.pipeline import FoldingCache, fusing_pipeline


@pytest.mark.parametrize("name", ["resnet", "inceptionv2"])
def test_a_model_comes_out_the_same_with_and_without_the_cache_and_from_a_warm_one(name: str):
    module = load_model(f"zoo://{name}").module
    plain = fusing_pipeline()(module)
    cache = FoldingCache()
    for _ in range(2):
        with cache.active():
            cached = fusing_pipeline()(module)
        tvm.ir.assert_structural_equal(cached, plain)


def test_the_build_function_of_tvm_is_back_afterwards_even_after_an_error():
    before = tvm.get_global_func("tirx.build")
    with pytest.raises(RuntimeError, match="on purpose"), FoldingCache().active():
        raise RuntimeError("on purpose")
    assert tvm.get_global_func("tirx.build").same_as(before)
