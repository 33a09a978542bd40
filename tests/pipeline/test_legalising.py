"""Legalisation with cached kernels."""

from __future__ import annotations

import pytest
import tvm
from tvm import relax
from tvm.script import ir as I  # noqa: N812
from tvm.script import relax as R  # noqa: N812

from tvm_mutate.model import load_model
from tvm_mutate.pipeline import Fused, LegalisingCache, fusing_pipeline


@I.ir_module
class ScalarsAndNumbers:
    """Kernels with a scalar in them, two that differ in an attribute only, and one with several results."""

    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):  # noqa: N805
        with R.dataflow():
            a = R.add(x, R.const(2.0, "float32"))
            b = R.add(a, R.const(3.0, "float32"))
            e = R.nn.softmax(b, axis=1)
            f = R.nn.softmax(e, axis=0)
            parts = R.split(f, [1], axis=1)
            f = R.concat([parts[1], parts[0]], axis=1)
            g = R.permute_dims(R.permute_dims(f, axes=[1, 0]), axes=[1, 0])
            R.output(g)
        return g


@pytest.mark.parametrize("name", ["resnet", "inceptionv2", "shufflenetv2"])
def test_a_model_is_legalised_as_by_tvm_from_an_empty_cache_and_from_a_warm_one(name: str):
    module = load_model(f"zoo://{name}").module
    plain, cache = fusing_pipeline()(module), LegalisingCache()
    for _ in range(2):
        cached = Fused(module, None, cache).fused()
        tvm.ir.assert_structural_equal(cached, plain)
        assert names(cached) == names(plain)


def test_scalars_attributes_and_several_results_come_out_as_by_tvm():
    plain, cache = relax.transform.LegalizeOps()(ScalarsAndNumbers), LegalisingCache()
    for _ in range(2):
        cached = cache.legalisation(ScalarsAndNumbers)(ScalarsAndNumbers)
        tvm.ir.assert_structural_equal(cached, plain)
        assert names(cached) == names(plain)


def names(module: tvm.IRModule) -> set[str]:
    return {variable.name_hint for variable in module.functions}
