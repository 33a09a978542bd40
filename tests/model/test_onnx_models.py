from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relax

from tests.model.model_files import finished, tiny_model
from tvm_mutate.errors import UsageError
from tvm_mutate.model import Model, load_model


def run(model: Model, data: np.ndarray) -> np.ndarray:
    lowered = tvm.ir.transform.Sequential([relax.transform.DecomposeOpsForInference(), relax.get_pipeline("zero")])(
        model.module
    )
    machine = relax.VirtualMachine(tvm.compile(lowered, "llvm"), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(data)).numpy()


def relax_ops(model: Model) -> set[str]:
    found: set[str] = set()
    relax.analysis.post_order_visit(
        model.module["main"], lambda e: found.add(e.op.name) if isinstance(getattr(e, "op", None), tvm.ir.Op) else None
    )
    return found


def refused(path: Path | str, **options) -> str:
    with pytest.raises(UsageError) as raised:
        load_model(path, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_model_comes_as_a_module_that_no_pass_has_touched(save):
    path = save(tiny_model())
    model = load_model(path)
    assert (model.name, model.input_name, model.input_shape) == ("tiny", "input", (1, 3, 8, 8))
    assert model.input_dtype == "float32"
    assert model.classes == 10
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "relax.nn.batch_norm" in relax_ops(model)


def test_names_with_slashes_and_colons_are_cleaned_and_the_result_is_that_of_onnxruntime(save):
    path = save(tiny_model(input_name="gpu_0/data:0"))
    model = load_model(path)
    data = np.random.default_rng(1).random((1, 3, 8, 8), dtype=np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"gpu_0/data:0": data})[0]
    assert model.input_name == "gpu_0_data_0"
    np.testing.assert_allclose(run(model, data), expected, rtol=1e-5)


def test_loading_twice_gives_the_same_module(save):
    path = save(tiny_model())
    tvm.ir.assert_structural_equal(load_model(path).module, load_model(path).module)


def test_weights_listed_as_inputs_are_no_inputs(save):
    proto = tiny_model(ir_version=3)
    for each in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    assert load_model(save(proto)).input_name == "input"


@pytest.mark.parametrize("elem_type", [TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_an_image_input_of_another_type_is_fed_as_float32(save, elem_type):
    path = save(tiny_model(elem_type=elem_type))
    model = load_model(path)
    pixels = np.random.default_rng(2).integers(0, 256, (1, 3, 8, 8)).astype(np.float32)
    typed = pixels.astype(helper.tensor_dtype_to_np_dtype(elem_type))
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"input": typed})[0]
    assert model.input_dtype == "float32"
    np.testing.assert_allclose(run(model, pixels), expected, rtol=1e-5)


def test_an_integer_input_that_is_no_image_is_refused(save):
    node = helper.make_node("Cast", ["tokens"], ["out"], to=TensorProto.FLOAT)
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, 16])
    message = refused(save(finished([node], [tokens], [helper.make_tensor_value_info("out", 1, [1, 16])])))
    assert "'tokens' is int64 [1, 16]" in message


def test_two_inputs_are_refused_with_both_names(save):
    inputs = [helper.make_tensor_value_info(name, 1, [1, 3, 8, 8]) for name in ("left", "right")]
    node = helper.make_node("Add", ["left", "right"], ["sum"])
    message = refused(save(finished([node], inputs, [helper.make_tensor_value_info("sum", 1, [1, 3, 8, 8])])))
    assert "2 inputs (left, right)" in message


def test_a_symbolic_dimension_other_than_the_batch_is_asked_for_by_name(save):
    message = refused(save(tiny_model(["batch", 3, "height", 8])))
    assert "'height' at position 2" in message
    assert "--shape input=1,3,224,8" in message


def test_shape_gives_the_symbolic_dimensions(save):
    path = save(tiny_model(["batch", 3, "height", "width"]))
    assert load_model(path, shape={"input": [1, 3, 16, 12]}).input_shape == (1, 3, 16, 12)


def test_shape_knows_the_input_by_its_name_in_the_file_and_by_its_clean_one(save):
    path = save(tiny_model(["batch", 3, "height", 8], input_name="data:0"))
    for name in ("data:0", "data_0"):
        assert load_model(path, shape={name: [1, 3, 16, 8]}).input_shape == (1, 3, 16, 8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"inptu": [1, 3, 8, 8]}, "did you mean 'input'?"),
        ({"input": [1, 3, 9, 8]}, "declares ['batch', 3, 8, 8]"),
        ({"input": [1, 3, 8]}, "declares ['batch', 3, 8, 8]"),
        ({"input": [1, 3, 0, 8]}, "positive numbers"),
        ({"input": [4, 3, 8, 8]}, "has a batch of 4"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(save, shape, expected):
    assert expected in refused(save(tiny_model()), shape=shape)


def test_a_fixed_batch_is_refused_with_the_way_out(save):
    message = refused(save(tiny_model([8, 3, 8, 8])))
    assert "batch of 8" in message and "--shape input=1,3,8,8" in message


def test_an_input_of_unknown_rank_is_asked_for(save):
    proto = tiny_model()
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    assert "no known rank" in refused(save(proto))


def test_a_missing_file_is_named_with_the_nearest_one(save, tmp_path):
    save(tiny_model(), "resnet.onnx")
    assert "resnet.onnx'?" in refused(tmp_path / "resnt.onnx")
    (tmp_path / "folder.onnx").mkdir()
    assert "is a folder" in refused(tmp_path / "folder.onnx")


@pytest.mark.parametrize("content", [b"", b"garbage, not protobuf", b"\x00" * 64, b"PK\x03\x04" + bytes(200), b"{}\n"])
def test_a_file_that_is_not_onnx_is_named(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    assert str(path) in refused(path)


def test_a_truncated_file_is_refused_wherever_it_was_cut(save):
    content = tiny_model().SerializeToString()
    for length in range(1, len(content) - 1, 61):
        path = save(onnx.ModelProto())
        path.write_bytes(content[:length])
        assert str(path) in refused(path)


def test_operators_that_tvm_does_not_know_are_all_named_in_order(save):
    nodes = [
        helper.make_node("StringNormalizer", ["input"], ["a"]),
        helper.make_node("Bernoulli", ["a"], ["output"]),
    ]
    values = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("input", "output")]
    assert refused(save(finished(nodes, values[:1], values[1:]))).endswith("operators Bernoulli, StringNormalizer")


def test_an_operator_of_a_foreign_domain_is_not_taken_for_onnx_s_own(save):
    node = helper.make_node("Relu", ["input"], ["output"], domain="com.example")
    values = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("input", "output")]
    assert "com.example.Relu" in refused(save(finished([node], values[:1], values[1:])))


def test_local_functions_are_inlined(save):
    body = helper.make_node("Relu", ["x"], ["y"])
    function = helper.make_function("local", "MyRelu", ["x"], ["y"], [body], [helper.make_opsetid("", 17)])
    node = helper.make_node("MyRelu", ["input"], ["output"], domain="local")
    values = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("input", "output")]
    proto = finished([node], values[:1], values[1:])
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    assert "relax.nn.relu" in relax_ops(load_model(save(proto)))


def test_the_node_that_cannot_be_imported_is_named_as_in_the_file(save):
    node = helper.make_node("Reshape", ["input", "nowhere"], ["output"], name="/head/Reshape")
    values = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("input", "output")]
    message = refused(save(finished([node], values[:1], values[1:])))
    assert "'/head/Reshape' (Reshape)" in message and "nowhere" in message


def test_the_importer_prints_nothing(save, capsys):
    nodes = [helper.make_node("LRN", ["input"], ["output"], name="norm", size=3)]
    values = [helper.make_tensor_value_info(name, 1, [1, 4]) for name in ("input", "output")]
    assert "'norm' (LRN)" in refused(save(finished(nodes, values[:1], values[1:])))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("opset", "expected"), [(6, "onnx.version_converter"), (999, "upgrade onnx")])
def test_an_opset_out_of_range_is_named_with_the_range(save, opset, expected):
    message = refused(save(tiny_model(opset=opset)))
    assert f"opset {opset}" in message
    assert f"opsets 7 to {onnx.defs.onnx_opset_version()}" in message
    assert expected in message


def test_a_missing_opset_is_named(save):
    proto = tiny_model()
    del proto.opset_import[:]
    assert "names no opset" in refused(save(proto))


@pytest.mark.parametrize("version", [1, onnx.IR_VERSION + 1])
def test_an_ir_version_out_of_range_is_named(save, version):
    assert f"IR version {version}" in refused(save(tiny_model(ir_version=version)))


@pytest.mark.parametrize("opset", [7, 9, 12])
def test_the_opsets_of_the_full_size_zoo_are_imported_as_onnxruntime_reads_them(save, opset):
    path = save(old_style_model(opset))
    data = np.random.default_rng(3).random((1, 3, 8, 8), dtype=np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"gpu_0/data_0": data})[0]
    np.testing.assert_allclose(run(load_model(path), data), expected, rtol=1e-5)


def old_style_model(opset: int) -> onnx.ModelProto:
    """LRN, dropout, asymmetric pooling, reshape and softmax as Caffe2 and MXNet exported them."""
    rng = np.random.default_rng(4)
    weights = {"w": (4, 3, 3, 3), "s": (4,), "b": (4,), "m": (4,), "v": (4,), "fc": (10, 64), "fb": (10,)}
    initializers = [
        numpy_helper.from_array(rng.random(size, dtype=np.float32) * 0.1, name) for name, size in weights.items()
    ]
    initializers.append(numpy_helper.from_array(np.array([1, -1], np.int64), "to"))
    nodes = [
        helper.make_node("Conv", ["gpu_0/data_0", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], epsilon=1e-5),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("LRN", ["r"], ["l"], size=3, alpha=1e-4, beta=0.75, bias=1.0),
        helper.make_node("MaxPool", ["l"], ["p"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        helper.make_node("Dropout", ["p"], ["d"]),
        helper.make_node("Reshape", ["d", "to"], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc", "fb"], ["g"], transB=1),
        helper.make_node("Softmax", ["g"], ["prob_1"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("gpu_0/data_0", 1, [1, 3, 8, 8])]
    inputs += [helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in initializers]
    output = helper.make_tensor_value_info("prob_1", 1, [1, 10])
    return finished(nodes, inputs, [output], initializers, opset=opset, ir_version=3)


@pytest.fixture
def with_external_weights(tmp_path):
    path = tmp_path / "big.onnx"
    onnx.save_model(tiny_model(), path, save_as_external_data=True, location="big.weights", size_threshold=0)
    return path


def test_external_weights_are_loaded_and_belong_to_the_digest(with_external_weights):
    path = with_external_weights
    weights = path.with_name("big.weights")
    model = load_model(path)
    assert model.digest == hashlib.sha256(path.read_bytes() + weights.read_bytes()).hexdigest()
    assert model.classes == 10


def test_missing_and_short_external_weights_are_named(with_external_weights):
    weights = with_external_weights.with_name("big.weights")
    weights.write_bytes(weights.read_bytes()[:-16])
    assert "too few for the weights 'fc/weight'" in refused(with_external_weights)
    weights.unlink()
    assert "'big.weights' are missing" in refused(with_external_weights)


def test_external_weights_outside_the_folder_are_refused(with_external_weights):
    proto = onnx.load(with_external_weights, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../secret"
    with_external_weights.write_bytes(proto.SerializeToString())
    assert "outside its folder" in refused(with_external_weights)


@pytest.mark.real_data
def test_every_pretrained_model_loads_with_its_recipe(real_data):
    paths = sorted((real_data / "models").glob("*.onnx"))
    assert len(paths) == 6
    for path in paths:
        model = load_model(path)
        assert model.input_name == "input"
        assert model.classes == (1000 if path.stem == "mobilenetv2" else 10)
        assert not model.preprocessing.guessed
