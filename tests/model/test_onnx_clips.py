"""ONNX's Clip as one node of the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper as oh
import pytest
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from tvm_mutate.model import load_model
from tvm_mutate.model.onnx_import import restore_clips
from tvm_mutate.model.zoo import zoo_model_path


def calls(module: tvm.IRModule) -> list[str]:
    names: list[str] = []

    def note(node):
        if isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op):
            names.append(node.op.name)

    relax.analysis.post_order_visit(module["main"], note)
    return names


def run(module: tvm.IRModule, data: np.ndarray) -> np.ndarray:
    lowered = relax.get_pipeline("zero")(relax.transform.DecomposeOpsForInference()(module))
    machine = relax.VirtualMachine(tvm.compile(lowered, "llvm"), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(data)).numpy()


def test_relu6_of_the_zoo_is_a_clip_node_with_the_same_bits_as_before():
    plain = from_onnx(onnx.load(zoo_model_path("mobilenetv2")), shape_dict={"input": [1, 3, 32, 32]})
    restored = load_model("zoo://mobilenetv2").module
    assert calls(restored).count("relax.clip") == 11
    assert "relax.call_tir" not in calls(restored)
    data = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype("float32")
    assert run(restored, data).tobytes() == run(plain, data).tobytes()


@pytest.mark.parametrize("bounds", [(0.0, None), (None, 6.0), (-1.0, 2.5)])
def test_every_form_of_clip_keeps_its_values(tmp_path: Path, bounds: tuple[float | None, float | None]):
    names = [name if bound is not None else "" for name, bound in zip(("low", "high"), bounds, strict=True)]
    constants = [
        onnx.numpy_helper.from_array(np.array(bound, "float32"), name)
        for name, bound in zip(names, bounds, strict=True)
        if bound is not None
    ]
    shape = [1, 4]
    graph = oh.make_graph(
        [oh.make_node("Clip", ["x", *names], ["y"])],
        "clip",
        [oh.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [oh.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
        constants,
    )
    path = tmp_path / "clip.onnx"
    onnx.save(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8), path)
    data = np.array([[-5.0, -0.5, 3.0, 70.0]], "float32")
    low, high = (bound if bound is not None else limit for bound, limit in zip(bounds, (-1e9, 1e9), strict=True))
    assert run(load_model(path).module, data).tolist() == np.clip(data, low, high).tolist()


def test_a_module_without_clips_is_left_as_it_is():
    module = load_model("zoo://resnet").module
    tvm.ir.assert_structural_equal(restore_clips(module), module)
