"""The embedded zoo: its files are whole, small, plain ONNX, and as accurate as its catalogue says."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import shape_inference

from tvm_mutate.errors import UsageError
from tvm_mutate.model.zoo import ZOO_NAMES, zoo_decoder, zoo_images, zoo_model_path, zoo_preprocessing

FOLDER = zoo_model_path("resnet").parent
# The operators that the blocks of a family are built from.
HALLMARKS = {
    "mobilenetv2": {"Clip", "Add"},
    "densenet": {"Concat", "AveragePool"},
    "resnet": {"Add", "Relu"},
    "alexnet": {"MaxPool", "Gemm", "Relu"},
    "shufflenetv2": {"Split", "Concat", "Reshape", "Transpose"},
    "efficientnet_lite": {"Clip", "Add", "MatMul"},
    "inceptionv2": {"Concat", "MaxPool", "AveragePool"},
}
every_model = pytest.mark.parametrize("name", ZOO_NAMES)


def catalogue() -> dict[str, Any]:
    return json.loads((FOLDER / "zoo.json").read_text())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def inputs() -> np.ndarray:
    images, _ = zoo_images()
    how = zoo_preprocessing()
    pixels = images.astype(np.float32) * np.float32(how["scale"])
    normal = (pixels - np.float32(how["mean"])) / np.float32(how["std"])
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2))


def operators(name: str) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(zoo_model_path(name)).graph.node)


def shape_of(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_the_catalogue_lists_exactly_the_named_models() -> None:
    assert tuple(catalogue()["models"]) == ZOO_NAMES


@every_model
def test_a_model_file_is_the_one_that_the_catalogue_describes(name: str) -> None:
    assert digest(zoo_model_path(name)) == catalogue()["models"][name]["sha256"]


def test_the_inputs_and_the_decoder_are_the_ones_that_the_catalogue_describes() -> None:
    decoder = catalogue()["decoder"]
    assert digest(FOLDER / "digits.npz") == catalogue()["images_sha256"]
    assert digest(FOLDER / "prompts.npz") == decoder["prompts_sha256"]
    assert digest(FOLDER / "decoder.npz") == decoder["sha256"]
    assert sum(each.size for each in zoo_decoder().values()) == decoder["parameters"]


def test_the_files_are_small_enough_to_ship() -> None:
    sizes = [zoo_model_path(name).stat().st_size for name in ZOO_NAMES]
    images, decoder, prompts = ((FOLDER / f"{name}.npz").stat().st_size for name in ("digits", "decoder", "prompts"))
    assert max(*sizes, decoder) <= 500_000
    assert images <= 400_000 and prompts <= 2_000
    assert sum(sizes) + images + decoder + prompts <= 3_000_000


def test_the_images_are_500_grey_digits_of_every_class() -> None:
    images, labels = zoo_images()
    assert images.shape == (500, 32, 32, 3) and images.dtype == np.uint8
    assert labels.shape == (500,) and labels.dtype == np.int64
    assert (images[..., 0] == images[..., 1]).all() and (images[..., 0] == images[..., 2]).all()
    assert np.bincount(labels, minlength=10).min() >= 45
    assert len(catalogue()["classes"]) == 10


@every_model
def test_a_model_recognises_at_least_97_percent_of_the_held_out_digits(name: str) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(zoo_model_path(name)), providers=["CPUExecutionProvider"])
    answers = [session.run(None, {"input": image[None]})[0].argmax() for image in inputs()]
    top1 = float(np.mean(np.array(answers) == zoo_images()[1]))
    assert top1 >= 0.97
    # Another onnxruntime may round differently, and turn an image or two that is undecided.
    assert top1 == pytest.approx(catalogue()["models"][name]["top1"], abs=0.005)


@every_model
def test_a_model_is_valid_onnx_with_the_documented_interface(name: str) -> None:
    model = onnx.load(zoo_model_path(name))
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    (entry,), (result,) = model.graph.input, model.graph.output
    assert (entry.name, shape_of(entry)) == ("input", [1, 3, 32, 32])
    assert (result.name, shape_of(result)) == ("output", [1, 10])


@every_model
def test_no_name_in_a_model_has_a_slash(name: str) -> None:
    graph = onnx.load(zoo_model_path(name)).graph
    names = [node.name for node in graph.node] + [tensor.name for tensor in graph.initializer]
    names += [value for node in graph.node for value in [*node.input, *node.output]]
    assert not [name for name in names if "/" in name]


@every_model
def test_a_model_is_built_from_its_family_blocks(name: str) -> None:
    assert HALLMARKS[name] <= set(operators(name))


@pytest.mark.parametrize("name", [name for name in ZOO_NAMES if name != "alexnet"])
def test_batch_norm_is_kept_beside_its_convolutions(name: str) -> None:
    assert operators(name)["BatchNormalization"] >= 10


def test_alexnet_has_a_fully_connected_layer_with_a_square_weight_matrix() -> None:
    graph = onnx.load(zoo_model_path("alexnet")).graph
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    dense = [weights[node.input[1]] for node in graph.node if node.op_type == "Gemm"]
    assert any(rows == columns for rows, columns in dense)


def test_efficientnet_lite_multiplies_a_square_matrix_of_tokens() -> None:
    graph = shape_inference.infer_shapes(onnx.load(zoo_model_path("efficientnet_lite"))).graph
    shapes = {value.name: shape_of(value) for value in graph.value_info}
    firsts = [shapes[node.input[0]] for node in graph.node if node.op_type == "MatMul"]
    assert any(len(shape) == 3 and shape[1] == shape[2] > 1 for shape in firsts)


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"no model 'mobilnet2'; did you mean 'mobilenetv2'\?"):
        zoo_model_path("mobilnet2")


def test_the_preprocessing_can_be_changed_without_changing_the_zoo() -> None:
    zoo_preprocessing()["mean"].clear()
    assert len(zoo_preprocessing()["mean"]) == 3
