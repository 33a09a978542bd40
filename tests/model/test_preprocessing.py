from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.model.model_files import tiny_model
from tvm_mutate.errors import UsageError
from tvm_mutate.model import RECIPES, Preprocessing, load_inputs, load_model, parse_preprocessing, preprocess
from tvm_mutate.model.preprocessing import guess_preprocessing

NUMBER = st.floats(allow_nan=False, allow_infinity=False)
RECIPE = st.builds(
    Preprocessing,
    resize=st.none() | st.integers(1, 4096),
    crop=st.none() | st.integers(1, 4096),
    scale=NUMBER.filter(bool),
    mean=st.tuples(NUMBER, NUMBER, NUMBER),
    std=st.tuples(*[NUMBER.filter(bool)] * 3),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    channel_order=st.sampled_from(["RGB", "BGR"]),
    fit=st.sampled_from(["strict", "resize"]),
    guessed=st.booleans(),
)


@given(RECIPE)
def test_a_recipe_survives_its_way_through_json(recipe):
    back = Preprocessing.from_mapping(json.loads(json.dumps(recipe.to_mapping())))
    assert back == recipe
    assert back.guessed == recipe.guessed


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"sclae": 1}, "no key 'sclae'; did you mean 'scale'?"),
        ({"scale": 0}, "scale is 0"),
        ({"scale": float("nan")}, "scale is nan"),
        ({"mean": [1, 2]}, "mean is [1, 2]; give three"),
        ({"mean": "123"}, "mean is '123'"),
        ({"std": [1, 0, 1]}, "divided by 0"),
        ({"crop": 0}, "crop is 0"),
        ({"resize": 25.6}, "resize is 25.6"),
        ({"layout": "CHWN"}, "give NCHW or NHWC"),
        ({"layout": []}, "give NCHW or NHWC"),
        ({"channel_order": "rgb"}, "give RGB or BGR"),
        ({"fit": True}, "give strict or resize"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused_by_key(mapping, expected):
    with pytest.raises(UsageError) as raised:
        Preprocessing.from_mapping(mapping, where="here.toml")
    assert str(raised.value).startswith("here.toml: ")
    assert expected in str(raised.value)


def test_one_number_stands_for_all_channels():
    assert Preprocessing.from_mapping({"mean": 127, "std": 128.0}).mean == (127.0, 127.0, 127.0)


def test_every_value_is_scaled_shifted_and_divided_in_float32():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    recipe = Preprocessing(scale=1 / 255, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    made = preprocess(pixels, recipe)
    assert made.shape == (2, 3, 5, 4) and made.dtype == np.float32 and made.flags.c_contiguous
    for channel in range(3):
        scaled = pixels[..., channel].astype(np.float32) * np.float32(1 / 255)
        expected = (scaled - np.float32(recipe.mean[channel])) / np.float32(recipe.std[channel])
        np.testing.assert_array_equal(made[:, channel], expected)


def test_bgr_turns_the_channels_before_the_means_are_subtracted():
    pixels = np.array([[[[10, 20, 30]]]], np.uint8)
    recipe = Preprocessing(mean=(1, 2, 3), channel_order="BGR", layout="NHWC")
    np.testing.assert_array_equal(preprocess(pixels, recipe), [[[[29, 18, 7]]]])


@pytest.mark.parametrize("images", [np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 3, 4, 4), np.uint8)])
def test_pixels_of_another_type_or_layout_are_refused(images):
    with pytest.raises(UsageError, match=r"give uint8 \[N, H, W, 3\]"):
        preprocess(images, Preprocessing())


def test_recipes_are_found_by_name():
    assert parse_preprocessing("imagenet").crop == 224
    assert parse_preprocessing("imagenet-tf").layout == "NHWC"
    with pytest.raises(UsageError, match="did you mean 'imagenet'"):
        parse_preprocessing("imagnet")
    assert RECIPES["imagenet-bgr-caffe"].mean == (104.0, 117.0, 123.0)


def test_a_guess_follows_the_shape_and_is_marked():
    assert guess_preprocessing((1, 3, 224, 224)).resize == 256
    assert guess_preprocessing((1, 240, 240, 3)).layout == "NHWC"
    assert guess_preprocessing((1, 3, 32, 32)).std == RECIPES["cifar10"].std
    assert guess_preprocessing((1, 784)) == RECIPES["none"]
    assert all(guess_preprocessing(shape).guessed for shape in [(1, 3, 224, 224), (1, 3, 8, 8), (1, 784)])


def test_the_recipe_beside_a_model_is_found_in_order(save, tmp_path):
    path = save(tiny_model(), "models/net.onnx")
    assert load_model(path).preprocessing.guessed

    entry = {"name": "net", "file": "models/net.onnx", "input": "input", "dataset": "d", "crop": None, "scale": 0.5}
    (tmp_path / "models.json").write_text(json.dumps([{"name": "other", "file": "other.onnx"}, entry]))
    assert load_model(path).preprocessing == Preprocessing(scale=0.5)

    (tmp_path / "models" / "models.json").write_text(json.dumps([{"file": "net.onnx", "scale": 0.25}]))
    assert load_model(path).preprocessing == Preprocessing(scale=0.25)

    path.with_suffix(".json").write_text('{"recipe": "imagenet", "crop": 8, "resize": null}')
    assert load_model(path).preprocessing.mean == RECIPES["imagenet"].mean

    path.with_suffix(".toml").write_text("scale = 2.0\nmean = [1.0, 2.0, 3.0]\n")
    assert load_model(path).preprocessing == Preprocessing(scale=2.0, mean=(1.0, 2.0, 3.0))
    assert not load_model(path).preprocessing.guessed

    assert load_model(path, preprocessing=RECIPES["unit"]).preprocessing == RECIPES["unit"]


def test_a_recipe_without_a_layout_takes_that_of_the_model(save):
    proto = tiny_model(["batch", 8, 8, 3])
    proto.graph.node[0].input[0] = "nchw"
    transpose = proto.graph.node.add(op_type="Transpose", input=["input"], output=["nchw"])
    transpose.attribute.add(name="perm", type=7, ints=[0, 3, 1, 2])
    nodes = [proto.graph.node[-1], *proto.graph.node[:-1]]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(copies)
    path = save(proto)
    path.with_suffix(".toml").write_text("scale = 0.5")
    assert load_model(path).preprocessing == Preprocessing(scale=0.5, layout="NHWC")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("tiny.toml", "scale = ", "is not valid TOML"),
        ("tiny.json", "{", "is not valid JSON"),
        ("tiny.json", "[1]", "holds no preprocessing"),
        ("tiny.toml", "recipe = 'imagnet'", "did you mean 'imagenet'?"),
        ("tiny.toml", "scael = 1", "did you mean 'scale'?"),
        ("models.json", '[{"file": "tiny.onnx", "mean": [1]}]', "mean is [1]"),
        ("models.json", "[", "is not valid JSON"),
    ],
)
def test_a_recipe_file_that_cannot_be_used_is_named(save, tmp_path, name, text, expected):
    path = save(tiny_model())
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as raised:
        load_model(path)
    assert str(tmp_path / name) in str(raised.value)
    assert expected in str(raised.value)


@pytest.mark.real_data
def test_real_images_become_the_bytes_of_the_reference_script(real_data: Path):
    """The reference is written out here as shared/data/check.py has it."""
    model = load_model(real_data / "models" / "mobilenetv2.onnx")
    folder = real_data / "imagenet1k-one-per-class"
    inputs = load_inputs(folder, model, limit=3)
    spec = next(each for each in json.loads((real_data / "models.json").read_text()) if each["name"] == model.name)
    assert len(inputs) == 3 and inputs.samples.arrays[0].shape == (3, 1, 3, 224, 224)
    for name, made in zip(inputs.names, inputs.samples.arrays[0][:, 0], strict=True):
        image = Image.open(folder / name).convert("RGB")
        left, top = round((image.width - 224) / 2), round((image.height - 224) / 2)
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)))[None]
        mean, std = np.array(spec["mean"], np.float32), np.array(spec["std"], np.float32)
        x = (pixels.astype(np.float32) * np.float32(spec["scale"]) - mean) / std
        assert np.ascontiguousarray(x.transpose(0, 3, 1, 2))[0].tobytes() == made.tobytes()
