"""Legalisation and constant folding with cached kernels."""

from __future__ import annotations

import pytest
import tvm
from tvm import relax
from tvm.script import ir as I  # noqa: N812
from tvm.script import relax as R  # noqa: N812

from tvm_mutate.model import load_model
from tvm_mutate.pipeline import Fused, LoweringCache, fusing_pipeline


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


@I.ir_module
class SameAndOtherArguments:
    """Calls of one operator on values of one type, which are the same value or two."""

    @R.function
    def main(x: R.Tensor((2, 3), "float32"), y: R.Tensor((2, 3), "float32")) -> R.Tensor((4, 3), "float32"):  # noqa: N805
        with R.dataflow():
            a = R.add(x, x)
            b = R.add(x, y)
            c = R.subtract(a, b)
            d = R.concat([c, c], axis=0)
            e = R.concat([c, x], axis=0)
            f = R.multiply(d, e)
            R.output(f)
        return f


@I.ir_module
class AnOperatorWithoutLegalisation:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2,), "int64"):  # noqa: N805
        with R.dataflow():
            shape = R.shape_of(x)
            sizes = R.shape_to_tensor(shape)
            R.output(sizes)
        return sizes


@pytest.mark.parametrize("name", ["resnet", "shufflenetv2"])
def test_a_model_is_legalised_as_by_tvm_with_an_empty_and_with_a_warm_cache(name: str):
    module = load_model(f"zoo://{name}").module
    plain, cache = fusing_pipeline()(module), LoweringCache()
    for _ in range(2):
        cached = Fused(module, cache).fused()
        tvm.ir.assert_structural_equal(cached, plain)
        assert names(cached) == names(plain)


@pytest.mark.parametrize("module", [ScalarsAndNumbers, SameAndOtherArguments, AnOperatorWithoutLegalisation])
def test_scalars_attributes_tuples_and_repeated_arguments_come_out_as_by_tvm(module: tvm.IRModule):
    plain, cache = relax.transform.LegalizeOps()(module), LoweringCache()
    for _ in range(2):
        cached = cache.legalisation(module)(module)
        tvm.ir.assert_structural_equal(cached, plain)
        assert names(cached) == names(plain)


def test_no_kernel_of_a_model_is_made_a_second_time(monkeypatch: pytest.MonkeyPatch):
    module, cache = load_model("zoo://densenet").module, LoweringCache()
    cache.legalisation(module)(module)
    made: list[object] = []
    call_te = relax.BlockBuilder.call_te
    monkeypatch.setattr(
        relax.BlockBuilder, "call_te", lambda self, *args, **more: (made.append(args), call_te(self, *args, **more))[1]
    )
    cache.legalisation(module)(module)
    assert made == []
    relax.transform.LegalizeOps()(module)
    assert made


def test_constant_folding_gives_the_same_model_without_a_cache_and_with_an_empty_or_warm_one():
    module = load_model("zoo://resnet").module
    plain = fusing_pipeline()(module)
    cache = LoweringCache()
    for _ in range(2):
        with cache.folding():
            cached = fusing_pipeline()(module)
        tvm.ir.assert_structural_equal(cached, plain)


def test_the_build_function_of_tvm_is_back_afterwards_even_after_an_error():
    before = tvm.get_global_func("tirx.build")
    with pytest.raises(RuntimeError, match="on purpose"), LoweringCache().folding():
        raise RuntimeError("on purpose")
    assert tvm.get_global_func("tirx.build").same_as(before)


def names(module: tvm.IRModule) -> set[str]:
    return {variable.name_hint for variable in module.functions}
