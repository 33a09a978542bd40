"""The canaries on small networks that are really built and run, and on a pretrained one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tvm
from small_networks import IMAGE, Compiled, every_layer, golden, lower, mutate, network, run, signed
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx
from tvm.script import from_source
from tvm.target import Target

from tvm_mutate.kernels import parse_target
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import apply_mutations, selections_by_slot
from tvm_mutate.pipeline import Stages

CATALOGUE = builtin_catalogue()
GROUPED = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32"), B: T.Buffer((16,), "float32"), C: T.Buffer((8,), "float32")):
    for i in range(16):
        with T.sblock("grouped"):
            v_i = T.axis.spatial(16, i)
            B[v_i] = A[v_i // 2]
    for i in range(8):
        with T.sblock("plain"):
            v_i = T.axis.spatial(8, i)
            C[v_i] = A[v_i]
"""


def test_the_kill_canary_negates_the_output_bit_by_bit():
    mutated, _ = mutate(every_layer(), "canary.negate-output@main#*")
    assert len(mutated["main"].body.blocks) == 1  # still one straight line of dataflow
    assert run(mutated, signed(*IMAGE)).tobytes() == (-golden(every_layer)).tobytes()


def test_the_kill_canary_negates_every_float_tensor_of_a_tuple_and_no_other():
    def build(builder: relax.BlockBuilder, x: relax.Var) -> Any:
        whole = relax.op.astype(relax.op.round(x), "int32")
        return relax.Tuple([relax.op.nn.relu(x), whole, relax.Tuple([relax.op.exp(x)])])

    module, data = network((2, 3), build=build), signed(2, 3) * 4
    mutated, _ = mutate(module, "canary.negate-output@main#*")
    (rectified, whole, (exponential,)) = Compiled(lower(module))(data)
    result = Compiled(lower(mutated))(data)
    assert result[0].numpy().tobytes() == (-rectified.numpy()).tobytes()
    assert result[1].numpy().tobytes() == whole.numpy().tobytes()
    assert result[2][0].numpy().tobytes() == (-exponential.numpy()).tobytes()


def test_the_kill_canary_leaves_subroutines_alone():
    module = every_layer()
    private = tvm.IRModule({"main": module["main"], "helper": module["main"].without_attr("global_symbol")})
    assert [applied.changed for applied in mutate(private, "canary.negate-output@*#*")[1]] == [False, True]


def assert_survives(lowered: tvm.IRModule, data: np.ndarray) -> None:
    mutated, report = mutate(lowered, "canary.reverse-loop@*#*")
    assert sum(len(applied.sites) for applied in report) >= 5
    before, after = (Compiled(each, Target("llvm")) for each in (lowered, mutated))
    assert before.source != after.source
    assert before(data).numpy().tobytes() == after(data).numpy().tobytes()


def test_the_survivor_canary_changes_the_code_and_not_one_bit():
    assert_survives(lower(every_layer()), signed(*IMAGE))


@pytest.mark.real_data
def test_the_survivor_canary_survives_on_a_pretrained_network(real_data: Path):
    model = onnx.load(real_data / "models" / "cifar10_resnet8.onnx")
    module = from_onnx(model, shape_dict={"input": [1, 3, 32, 32]})
    assert_survives(lower(module), signed(1, 3, 32, 32))


def test_the_survivor_canary_leaves_blocks_alone_that_divide_an_index():
    grouped = tvm.script.from_source(GROUPED)
    selection = selections_by_slot(CATALOGUE.parse("canary.reverse-loop@*#*").mutations, CATALOGUE)[Slot.KERNEL]
    mutated, (applied,) = apply_mutations(tvm.IRModule({"main": grouped}), selection)
    assert (applied.found, applied.changed) == (1, True)
    assert "T.axis.spatial(8, 7 - i)" in mutated["main"].script()
    assert "A[v_i // 2]" in mutated["main"].script() and "T.axis.spatial(16, i)" in mutated["main"].script()


GPU_MATMUL = """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((1, 96), "float32"), w: R.Tensor((96, 96), "float32")) -> R.Tensor((1, 96), "float32"):
        with R.dataflow():
            product: R.Tensor((1, 96), "float32") = R.matmul(x, w)
            out: R.Tensor((1, 96), "float32") = R.exp(product)
            R.output(out)
        return out
"""


def test_the_survivor_canary_leaves_reductions_across_the_threads_of_a_gpu_alone():
    # TVM 0.27 would generate code without the reduction; seen on an H100.
    stages = Stages(from_source(GPU_MATMUL), parse_target('{"kind":"cuda","arch":"sm_90"}'))
    kernels = stages.at(Slot.KERNEL)
    assert "blockIdx.x" in kernels.script()
    selection = selections_by_slot(CATALOGUE.parse("canary.reverse-loop@*#*").mutations, CATALOGUE)
    mutated, applied = apply_mutations(kernels, selection[Slot.KERNEL])
    assert not any(each.changed for each in applied)
    tvm.ir.assert_structural_equal(mutated, kernels)
