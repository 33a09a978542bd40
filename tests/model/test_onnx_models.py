"""ONNX files: their import, their names, and the clip operators in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from tests.model.model_files import finished, tiny_model
from tvm_mutate.errors import UsageError
from tvm_mutate.model import Parameter, load_model, onnx_import
from tvm_mutate.model.names import clean_names
from tvm_mutate.model.onnx_import import restore_clips, with_clean_names
from tvm_mutate.model.onnx_simplify import simplified
from tvm_mutate.model.zoo import zoo_model_path

NEWEST_OPSET = onnx.defs.onnx_opset_version()
NAMES = st.lists(st.one_of(st.text(max_size=6), st.text("ab/._:0 -", max_size=5), st.sampled_from(["float", "_float"])))


def run(module: tvm.IRModule, data: np.ndarray) -> np.ndarray:
    lowered = relax.get_pipeline("zero")(relax.transform.DecomposeOpsForInference()(module))
    machine = relax.VirtualMachine(tvm.compile(lowered, "llvm"), tvm.cpu())
    return machine["main"](tvm.runtime.tensor(data)).numpy()


def calls(module: tvm.IRModule) -> list[str]:
    """The names of the operators that main calls."""
    names: list[str] = []

    def note(node):
        if isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op):
            names.append(node.op.name)

    relax.analysis.post_order_visit(module["main"], note)
    return names


def tensors(
    *names: str, shape: Sequence[int] = (1, 4), elem_type: int = TensorProto.FLOAT
) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, elem_type, shape) for name in names]


def refused(path: Path | str, **options) -> str:
    with pytest.raises(UsageError) as raised:
        load_model(path, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_model_is_a_module_before_any_pass(save):
    path = save(tiny_model())
    model = load_model(path)
    assert model.name == "tiny"
    assert model.inputs == (Parameter("input", (1, 3, 8, 8), "float32"),)
    assert model.classes == 10
    assert model.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "relax.nn.batch_norm" in calls(model.module)


def test_names_with_slashes_and_colons_are_cleaned_and_the_result_is_that_of_onnxruntime(save):
    path = save(tiny_model(input_name="gpu_0/data:0"))
    model = load_model(path)
    data = np.random.default_rng(1).random((1, 3, 8, 8), dtype=np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"gpu_0/data:0": data})[0]
    assert model.inputs[0].name == "gpu_0_data_0"
    np.testing.assert_allclose(run(model.module, data), expected, rtol=1e-5)


def test_loading_twice_gives_the_same_module(save):
    path = save(tiny_model())
    tvm.ir.assert_structural_equal(load_model(path).module, load_model(path).module)


def test_weights_listed_as_inputs_are_not_inputs(save):
    proto = tiny_model(ir_version=3)
    for each in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    assert [each.name for each in load_model(save(proto)).inputs] == ["input"]


@pytest.mark.parametrize("elem_type", [TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_an_input_keeps_its_type(save, elem_type):
    path = save(tiny_model(elem_type=elem_type))
    model = load_model(path)
    typed = helper.tensor_dtype_to_np_dtype(elem_type)
    pixels = np.random.default_rng(2).integers(0, 256, (1, 3, 8, 8)).astype(typed)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"input": pixels})[0]
    assert model.inputs[0].dtype == typed.name
    np.testing.assert_allclose(run(model.module, pixels), expected, rtol=1e-5)


def two_inputs_two_outputs(*shape: int | str) -> onnx.ModelProto:
    """Rows of a table chosen by integers, added to floats; their sum and its maximum."""
    table = numpy_helper.from_array(np.arange(20, dtype=np.float32).reshape(5, 4), "table")
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Add", ["rows", "bias"], ["sum"]),
        helper.make_node("ReduceMax", ["sum"], ["top"], axes=[-1], keepdims=0),
    ]
    inputs = [*tensors("ids", shape=shape, elem_type=TensorProto.INT64), *tensors("bias", shape=(*shape, 4))]
    return finished(nodes, inputs, [*tensors("sum", shape=(*shape, 4)), *tensors("top", shape=shape)], [table])


def test_a_model_may_have_several_inputs_and_outputs_and_a_batch(save):
    path = save(two_inputs_two_outputs(2, 3))
    model = load_model(path)
    assert model.inputs == (Parameter("ids", (2, 3), "int64"), Parameter("bias", (2, 3, 4), "float32"))
    ids, bias = np.array([[0, 4, 2], [1, 1, 3]]), np.random.default_rng(0).random((2, 3, 4), dtype=np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"ids": ids, "bias": bias})
    machine = relax.VirtualMachine(tvm.compile(model.module, "llvm"), tvm.cpu())
    for got, wanted in zip(machine["main"](*map(tvm.runtime.tensor, (ids, bias))), expected, strict=True):
        np.testing.assert_array_equal(got.numpy(), wanted)


def test_a_symbol_gets_its_number_by_its_name_in_all_inputs(save):
    path = save(two_inputs_two_outputs("batch", "length/tokens"))
    for name in ("length/tokens", "length_tokens"):
        assert [each.shape for each in load_model(path, shape={name: [7]}).inputs] == [(1, 7), (1, 7, 4)]
    both = load_model(path, shape={"ids": [2, 7]})
    assert [each.shape for each in both.inputs] == [(2, 7), (2, 7, 4)]


def test_a_symbol_with_several_numbers_stays_a_symbol_of_the_module(save):
    model = load_model(save(two_inputs_two_outputs("batch", "length")), shape={"length": [1, 7]})
    assert [each.shape for each in model.inputs] == [(1, "length"), (1, "length", 4)]
    machine = relax.VirtualMachine(tvm.compile(model.module, "llvm"), tvm.cpu())
    for length in (1, 7):
        arrays = np.zeros((1, length), np.int64), np.ones((1, length, 4), np.float32)
        total, top = machine["main"](*map(tvm.runtime.tensor, arrays))
        np.testing.assert_array_equal(total.numpy(), np.arange(4) + np.ones((1, length, 4)))
        np.testing.assert_array_equal(top.numpy(), np.full((1, length), 4))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (
            {},
            "has the symbolic dimensions 'length' at position 1 of 'ids'; give them with --shape, such as --shape",
        ),
        ({"lenght": [7]}, "did you mean 'length'?"),
        ({"ids": [1, 7], "bias": [1, 8, 4]}, "gives 'length' of"),
        ({"bias": [1, 7, 5]}, "declares ['batch', 'length', 4]"),
        ({"length": [7, 7]}, "--shape length is [7, 7]; give each number once"),
        ({"length": [0]}, "positive numbers, such as --shape length=16"),
    ],
)
def test_an_open_or_wrong_symbol_is_one_sentence(save, shape, expected):
    assert expected in refused(save(two_inputs_two_outputs("batch", "length")), shape=shape)


def test_shape_gives_the_symbolic_dimensions(save):
    path = save(tiny_model(["batch", 3, "height", "width"]))
    assert load_model(path, shape={"input": [1, 3, 16, 12]}).inputs[0].shape == (1, 3, 16, 12)


def test_dimensions_named_with_a_question_mark_are_no_symbol(save):
    path = save(tiny_model([1, 3, "?", "?"]))
    assert load_model(path, shape={"input": [1, 3, 16, 12]}).inputs[0].shape == (1, 3, 16, 12)


def test_shape_knows_the_input_by_its_name_in_the_file_and_by_its_clean_one(save):
    path = save(tiny_model(["batch", 3, "height", 8], input_name="data:0"))
    for name in ("data:0", "data_0"):
        assert load_model(path, shape={name: [1, 3, 16, 8]}).inputs[0].shape == (1, 3, 16, 8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"inptu": [1, 3, 8, 8]}, "did you mean 'input'?"),
        ({"input": [1, 3, 9, 8]}, "declares ['batch', 3, 8, 8]"),
        ({"input": [1, 3, 8]}, "declares ['batch', 3, 8, 8]"),
        ({"input": [1, 3, 0, 8]}, "positive numbers"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(save, shape, expected):
    assert expected in refused(save(tiny_model()), shape=shape)


def without(proto: onnx.ModelProto, *, shape: bool = False) -> onnx.ModelProto:
    """The model without the shape of its input, or without its opsets."""
    if shape:
        proto.graph.input[0].type.tensor_type.ClearField("shape")
    else:
        del proto.opset_import[:]
    return proto


def network(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    return finished(list(nodes), tensors("input"), tensors("output"))


@pytest.mark.parametrize(
    ("proto", "parts"),
    [
        (tiny_model(["batch", 3, "height", 8]), ["'height' at position 2 of 'input'", "--shape input=1,3,224,8"]),
        (without(tiny_model(), shape=True), ["no known rank"]),
        (without(tiny_model()), ["names no opset"]),
        (tiny_model(opset=6), ["opset 6", f"opsets 7 to {NEWEST_OPSET}", "onnx.version_converter"]),
        (tiny_model(opset=999), ["opset 999", f"opsets 7 to {NEWEST_OPSET}", "upgrade onnx"]),
        (tiny_model(ir_version=1), ["IR version 1"]),
        (tiny_model(ir_version=onnx.IR_VERSION + 1), [f"IR version {onnx.IR_VERSION + 1}"]),
        (
            finished(
                [helper.make_node("Identity", ["a"], ["b"])], tensors("a", elem_type=8), tensors("b", elem_type=8)
            ),
            ["'a' is no tensor of numbers"],
        ),
        (
            network(
                helper.make_node("StringNormalizer", ["input"], ["a"]),
                helper.make_node("Bernoulli", ["a"], ["output"]),
            ),
            ["operators Bernoulli, StringNormalizer"],
        ),
        (network(helper.make_node("Relu", ["input"], ["output"], domain="com.example")), ["com.example.Relu"]),
        (
            network(helper.make_node("Reshape", ["input", "nowhere"], ["output"], name="/head/Reshape")),
            ["'/head/Reshape' (Reshape)", "nowhere"],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_model_that_cannot_be_imported_is_refused_with_the_reason(save, proto: onnx.ModelProto, parts: list[str]):
    message = refused(save(proto))
    assert not [part for part in parts if part not in message], message


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


def test_local_functions_are_inlined(save):
    body = helper.make_node("Relu", ["x"], ["y"])
    function = helper.make_function("local", "MyRelu", ["x"], ["y"], [body], [helper.make_opsetid("", 17)])
    node = helper.make_node("MyRelu", ["input"], ["output"], domain="local")
    proto = finished([node], tensors("input"), tensors("output"))
    proto.functions.append(function)
    proto.opset_import.append(helper.make_opsetid("local", 1))
    assert "relax.nn.relu" in calls(load_model(save(proto)).module)


def test_the_importer_prints_nothing(save, capsys):
    nodes = [helper.make_node("LRN", ["input"], ["output"], name="norm", size=3)]
    assert "'norm' (LRN)" in refused(save(finished(nodes, tensors("input"), tensors("output"))))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("opset", [7, 9, 12])
def test_the_opsets_of_the_full_size_zoo_are_imported_as_onnxruntime_reads_them(save, opset):
    path = save(old_style_model(opset))
    data = np.random.default_rng(3).random((1, 3, 8, 8), dtype=np.float32)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"gpu_0/data_0": data})[0]
    np.testing.assert_allclose(run(load_model(path).module, data), expected, rtol=1e-5)


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
        assert [each.name for each in model.inputs] == ["input"]
        assert model.classes == (1000 if path.stem == "mobilenetv2" else 10)
        assert not model.preprocessing.guessed


@given(NAMES)
def test_cleaned_names_are_identifiers_and_stay_different(names):
    cleaned = clean_names(names)
    assert set(cleaned) == set(names) - {""}
    assert len(set(cleaned.values())) == len(cleaned)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in cleaned.values())
    assert "float" not in cleaned.values()


@given(NAMES)
def test_clean_names_stay_as_they_are(names):
    cleaned = clean_names(names).values()
    assert clean_names(cleaned) == {name: name for name in cleaned}


def test_a_cleaned_name_gives_way_to_one_that_was_clean_before():
    assert clean_names(["a/b", "a_b", "a.b", "1"]) == {"a_b": "a_b", "a/b": "a_b_1", "a.b": "a_b_2", "1": "_1"}


def test_a_whole_model_is_renamed_consistently():
    clean, values, nodes, _ = with_clean_names(tiny_model(input_name="data:0"))
    onnx.checker.check_model(clean)
    assert values["data:0"] == clean.graph.input[0].name == "data_0"
    assert values["/conv/out"] == "_conv_out_1"  # the model has a value _conv_out of its own
    assert [node.name for node in clean.graph.node][:2] == ["_conv_Conv", "_bn_BatchNormalization"]
    assert nodes["/conv/Conv"] == "_conv_Conv"


def test_values_of_subgraphs_are_renamed_with_those_around_them():
    branches = {}
    for branch in ("then_branch", "else_branch"):
        output = helper.make_tensor_value_info(f"{branch}/out", 1, [1, 4])
        node = helper.make_node("Relu", ["x/0"], [f"{branch}/out"], name="in/side")
        branches[branch] = helper.make_graph([node], branch, [], [output])
    node = helper.make_node("If", ["cond/0"], ["y/0"], name="if/0", **branches)
    inputs = [helper.make_tensor_value_info("x/0", 1, [1, 4]), helper.make_tensor_value_info("cond/0", 9, [])]
    proto = finished([node], inputs, [helper.make_tensor_value_info("y/0", 1, [1, 4])])
    clean, _, _, _ = with_clean_names(proto)
    onnx.checker.check_model(clean)
    inner = clean.graph.node[0].attribute[0].g
    assert inner.node[0].input[0] == "x_0"
    assert inner.output[0].name == inner.node[0].output[0]
    assert "/" not in str(clean)


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
        numpy_helper.from_array(np.array(bound, "float32"), name)
        for name, bound in zip(names, bounds, strict=True)
        if bound is not None
    ]
    graph = helper.make_graph(
        [helper.make_node("Clip", ["x", *names], ["y"])],
        "clip",
        tensors("x"),
        tensors("y"),
        constants,
    )
    path = tmp_path / "clip.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    data = np.array([[-5.0, -0.5, 3.0, 70.0]], "float32")
    low, high = (bound if bound is not None else limit for bound, limit in zip(bounds, (-1e9, 1e9), strict=True))
    assert run(load_model(path).module, data).tolist() == np.clip(data, low, high).tolist()


def test_a_module_without_clips_is_left_as_it_is():
    module = load_model("zoo://resnet").module
    tvm.ir.assert_structural_equal(restore_clips(module), module)


def constant_shapes() -> onnx.ModelProto:
    """A reshape to a shape that is computed from the batch, which TVM's frontend refuses."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["batch"]),
        helper.make_node("Mul", ["batch", "two"], ["double"]),
        helper.make_node("Concat", ["double", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([value], np.int64), name)
        for name, value in (("first", 0), ("two", 2), ("rest", -1))
    ]
    return finished(nodes, tensors("x", shape=("batch", 4)), tensors("y", shape=("double", 2)), constants)


def test_a_model_that_tvm_refuses_is_simplified_first_and_the_model_says_so(save):
    pytest.importorskip("onnxslim")
    model = load_model(save(constant_shapes()))
    assert model.simplified.startswith("simplified with onnxslim ")
    data = np.arange(4, dtype=np.float32)[None]
    assert run(model.module, data).tolist() == [[0, 1], [2, 3]]
    assert load_model(save(tiny_model())).simplified == ""
    assert load_model(save(tiny_model()), shape={"batch": [2]}).simplified != ""


def test_a_simplification_that_changes_an_output_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    onnxslim = pytest.importorskip("onnxslim")
    model = tiny_model([1, 3, 8, 8])

    def wrong(each: onnx.ModelProto) -> onnx.ModelProto:
        each.graph.node[-1].op_type = "MatMul"
        each.graph.initializer[-1].CopyFrom(numpy_helper.from_array(np.zeros((4, 10), np.float32), "fc/weight"))
        return each

    monkeypatch.setattr(onnxslim, "slim", wrong)
    assert simplified(model, [Parameter("input", (1, 3, 8, 8), "float32")], {}) is None
    monkeypatch.setattr(onnxslim, "slim", lambda each: each)
    assert simplified(model, [Parameter("input", (1, 3, 8, 8), "float32")], {}) is not None


def test_without_onnxslim_the_refusal_names_it(save, monkeypatch):
    monkeypatch.setattr(onnx_import, "can_simplify", lambda: False)
    message = refused(save(constant_shapes()))
    assert "TVM's frontend for ONNX cannot import" in message and "of opset 17" in message
    assert message.endswith("with pip install 'tvm-mutate[onnx]' it is simplified first")
