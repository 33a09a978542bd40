from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tvm_mutate.errors import UsageError
from tvm_mutate.model import Inputs, Preprocessing, load_inputs, load_model


def picture(path: Path, value: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).convert(mode).save(path)
    return path


def table(path: Path, *rows: dict[str, object]) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def values_of(inputs: Inputs) -> np.ndarray:
    """The samples of the only input, without the batch of 1 in each."""
    (array,) = inputs.samples.arrays
    return array[:, 0]


def refused(path: Path, model, **options) -> str:
    with pytest.raises(UsageError) as raised:
        load_inputs(path, model, **options)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_folder_of_images_is_read_in_the_order_of_names(tmp_path, classifier):
    for name, value in (("b.png", 20), ("a.png", 10), (".hidden.png", 1)):
        picture(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("no image")
    inputs = load_inputs(tmp_path, classifier)
    assert inputs.names == ("a.png", "b.png")
    assert inputs.labels is None
    assert values_of(inputs).shape == (2, 3, 8, 8) and values_of(inputs).dtype == np.float32
    np.testing.assert_array_equal(values_of(inputs)[0], np.float32(10) * np.float32(1 / 255))
    assert inputs.digest == hashlib.sha256(values_of(inputs).tobytes()).hexdigest()


def test_the_bytes_cannot_be_changed_behind_the_digest(classifier):
    inputs = load_inputs("zoo://digits", replace(classifier, preprocessing=Preprocessing(fit="resize")), limit=1)
    with pytest.raises(ValueError, match="read-only"):
        inputs.samples.arrays[0][0] = 0


@pytest.mark.parametrize("column", ["class_index", "label_index", "label"])
def test_labels_csv_gives_order_and_labels(tmp_path, classifier, column):
    for value in range(3):
        picture(tmp_path / "images" / f"{value}.png", value)
    rows = [{"file": f"images/{value}.png", column: value + 4} for value in (2, 0, 1)]
    table(tmp_path / "labels.csv", *rows)
    inputs = load_inputs(tmp_path, classifier)
    assert inputs.names == ("images/2.png", "images/0.png", "images/1.png")
    assert inputs.labels is not None and inputs.labels.dtype == np.int64
    assert inputs.labels.tolist() == [6, 4, 5]


def test_limit_spreads_over_all_images(tmp_path, classifier):
    for value in range(10):
        picture(tmp_path / f"{value}.png", value)
    assert load_inputs(tmp_path, classifier, limit=3).names == ("0.png", "3.png", "6.png")
    assert len(load_inputs(tmp_path, classifier, limit=99)) == 10
    assert "--limit is 0" in refused(tmp_path, classifier, limit=0)


def test_a_folder_per_class_gives_labels_by_number_by_order_or_by_name(tmp_path, classifier):
    for name in ("7", "2"):
        picture(tmp_path / "numbers" / name / "a.png")
    inputs = load_inputs(tmp_path / "numbers", classifier)
    assert (inputs.names, inputs.labels.tolist()) == (("2/a.png", "7/a.png"), [2, 7])

    letters = "jihgfedcba"
    for name in letters:
        picture(tmp_path / "letters" / name / "x.png")
    assert load_inputs(tmp_path / "letters", classifier).labels.tolist() == list(range(10))

    named = replace(classifier, class_names=tuple(letters))
    assert load_inputs(tmp_path / "letters", named).labels.tolist() == list(range(9, -1, -1))


def test_folders_of_only_some_classes_are_refused(tmp_path, classifier):
    for name in ("cat", "dog"):
        picture(tmp_path / name / "a.png")
    assert "2 folders of images, but the model has 10 classes" in refused(tmp_path, classifier)


@pytest.mark.parametrize(("mode", "suffix"), [("L", "png"), ("RGBA", "png"), ("P", "bmp"), ("LA", "png"), ("L", "jpg")])
def test_grey_and_transparent_images_are_converted(tmp_path, classifier, mode, suffix):
    picture(tmp_path / f"a.{suffix}", 102, mode=mode)  # a grey that the palette has
    np.testing.assert_array_equal(values_of(load_inputs(tmp_path, classifier)), np.float32(102) * np.float32(1 / 255))


def test_an_image_of_another_size_is_refused_or_resized_as_the_recipe_says(tmp_path, classifier):
    picture(tmp_path / "wide.png", 50, size=(20, 10))
    message = refused(tmp_path, classifier)
    assert "wide.png: is 20 x 10 pixels, but the model takes 8 x 8" in message
    bent = replace(classifier, preprocessing=Preprocessing(fit="resize"))
    np.testing.assert_array_equal(values_of(load_inputs(tmp_path, bent)), np.full((1, 3, 8, 8), 50, np.float32))
    cut = replace(classifier, preprocessing=Preprocessing(resize=9, crop=8))
    assert values_of(load_inputs(tmp_path, cut)).shape == (1, 3, 8, 8)
    small = replace(classifier, preprocessing=Preprocessing(resize=12, crop=9))
    assert "(9 x 9 after resize and crop)" in refused(tmp_path, small)


def test_the_crop_is_taken_from_the_centre(tmp_path, classifier):
    pixels = np.zeros((10, 12, 3), np.uint8)
    pixels[1:9, 2:10] = 9
    Image.fromarray(pixels).save(tmp_path / "framed.png")
    cut = replace(classifier, preprocessing=Preprocessing(crop=8))
    np.testing.assert_array_equal(values_of(load_inputs(tmp_path, cut)), np.full((1, 3, 8, 8), 9, np.float32))


def test_a_broken_image_is_named(tmp_path, classifier):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"not a png")
    assert "b.png: is not an image" in refused(tmp_path, classifier)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "b.png")
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    assert "b.png: cannot be decoded" in refused(tmp_path, classifier)
    (tmp_path / "b.png").write_bytes(b"")
    assert "b.png: is not an image" in refused(tmp_path, classifier)


def test_missing_and_empty_folders_are_named(tmp_path, classifier):
    assert "there is no such file or folder" in refused(tmp_path / "absent", classifier)
    assert "holds no images" in refused(tmp_path, classifier)
    picture(tmp_path / "a.png")
    picture(tmp_path / "cats" / "b.png")
    assert "images beside folders of images (cats" in refused(tmp_path, classifier)


def test_labels_that_do_not_match_are_named(tmp_path, classifier):
    picture(tmp_path / "a.png")
    listing = tmp_path / "labels.csv"
    table(listing, {"file": "a.png", "class_index": 10})
    assert "a.png has class index 10, but tiny has classes 0 to 9" in refused(tmp_path, classifier)
    table(listing, {"file": "a.png", "class_index": -1})
    assert "class index -1" in refused(tmp_path, classifier)
    table(listing, {"file": "a.png", "class_index": 1}, {"file": "b.png", "class_index": 1})
    assert "line 3 names 'b.png'" in refused(tmp_path, classifier)
    picture(tmp_path / "c.png")
    table(listing, {"file": "a.png", "class_index": 1})
    assert "no label for c.png" in refused(tmp_path, classifier)
    table(listing, {"file": "a.png", "label": "cat"})
    assert "line 2 has the label 'cat'" in refused(tmp_path, classifier)
    table(listing, {"image": "a.png", "label": 1})
    assert "it needs file, and one of class_index, label_index, label" in refused(tmp_path, classifier)
    listing.write_text("")
    assert "has the columns none" in refused(tmp_path, classifier)
    listing.write_text("file,label\n")
    assert "lists no images" in refused(tmp_path, classifier)
    listing.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read as csv" in refused(tmp_path, classifier)


def test_other_labels_can_be_named(tmp_path, classifier):
    picture(tmp_path / "a.png")
    other = table(tmp_path / "mine.csv", {"file": "a.png", "label": 3})
    assert load_inputs(tmp_path, classifier, labels=other).labels.tolist() == [3]
    assert "there is no such file" in refused(tmp_path, classifier, labels=tmp_path / "absent.csv")


@pytest.mark.parametrize(("data", "labels"), [("images", "labels"), ("data", "y"), ("x", "y")])
def test_images_in_an_archive_get_the_recipe_and_their_labels(tmp_path, classifier, data, labels):
    path = tmp_path / "set.npz"
    np.savez(path, **{data: np.full((3, 8, 8, 3), 255, np.uint8), labels: np.array([3, 1, 2], np.uint8)})
    inputs = load_inputs(path, classifier)
    np.testing.assert_array_equal(values_of(inputs), np.ones((3, 3, 8, 8), np.float32))
    assert inputs.names == ("0", "1", "2")
    assert inputs.labels.tolist() == [3, 1, 2] and inputs.labels.dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays_are_taken_as_they_are(tmp_path, classifier, dtype):
    values = np.random.default_rng(0).random((12, 3, 8, 8)).astype(dtype)
    np.save(tmp_path / "set.npy", values)
    np.save(tmp_path / "labels.npy", np.arange(12) % 10)
    inputs = load_inputs(tmp_path / "set.npy", classifier, labels=tmp_path / "labels.npy", limit=4)
    np.testing.assert_array_equal(values_of(inputs), values[::3].astype(np.float32))
    assert inputs.names == ("00", "03", "06", "09")
    assert inputs.labels.tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (
            np.zeros((2, 3, 9, 8), np.float32),
            "input 'input' is float32 [2, 3, 9, 8], but tiny takes float32 [N, 3, 8, 8]",
        ),
        (np.zeros((2, 3, 8, 8), np.uint8), "images are [N, H, W, 3]"),
        (np.zeros((2, 9, 9, 3), np.uint8), "image 0: is 9 x 9 pixels"),
        (np.zeros((2, 3, 8, 8), np.int64), "is int64 [2, 3, 8, 8], but tiny takes float32"),
        (np.zeros((0, 3, 8, 8), np.float32), "holds no inputs"),
        (np.float32(1), "holds no inputs"),
        (np.array(["a"], object), "cannot be read as NumPy arrays"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(tmp_path, classifier, array, expected):
    np.save(tmp_path / "set.npy", array)
    assert expected in refused(tmp_path / "set.npy", classifier)


def test_archives_without_the_names_and_broken_files_are_refused(tmp_path, classifier):
    np.savez(tmp_path / "set.npz", pictures=np.zeros((1, 8, 8, 3), np.uint8))
    assert "holds no array of inputs; name it images or data or x" in refused(tmp_path / "set.npz", classifier)
    whole = (tmp_path / "set.npz").read_bytes()
    for content in (b"", b"garbage", whole[:-30], whole[:80]):
        (tmp_path / "set.npz").write_bytes(content)
        assert "cannot be read as NumPy arrays" in refused(tmp_path / "set.npz", classifier)
    (tmp_path / "set.txt").write_text("")
    assert "no .npz or .npy file" in refused(tmp_path / "set.txt", classifier)


def test_labels_of_arrays_must_be_one_integer_an_input(tmp_path, classifier):
    images = np.zeros((3, 8, 8, 3), np.uint8)
    for labels, expected in (
        (np.arange(2), "3 inputs but 2 labels"),
        (np.zeros(3), "its labels are float64 [3]"),
        (np.zeros((3, 10), int), "its labels are int64 [3, 10]"),
        (np.array([0, 1, 10]), "2 has class index 10"),
    ):
        np.savez(tmp_path / "set.npz", images=images, labels=labels)
        assert expected in refused(tmp_path / "set.npz", classifier)
    np.save(tmp_path / "labels.npy", np.arange(2))
    assert "2 labels for 3 inputs" in refused(tmp_path / "set.npz", classifier, labels=tmp_path / "labels.npy")


def test_a_recipe_of_the_wrong_layout_is_refused(tmp_path, classifier):
    picture(tmp_path / "a.png")
    wrong = replace(classifier, preprocessing=Preprocessing(layout="NHWC"))
    assert "set layout = 'NCHW'" in refused(tmp_path, wrong)


def test_the_digits_of_the_zoo_come_with_labels():
    model = load_model("zoo://resnet")
    inputs = load_inputs("zoo://digits", model, limit=5)
    assert values_of(inputs).shape == (5, 3, 32, 32)
    assert inputs.labels is not None and set(inputs.labels.tolist()) <= set(range(10))
    assert load_inputs("zoo://digits", model, limit=5).digest == inputs.digest


def test_the_prompts_of_the_zoo_are_for_its_decoder_only():
    decoder = load_model("zoo://decoder")
    assert [(each.name, each.shape, each.dtype) for each in decoder.inputs] == [("tokens", (1, 16), "int32")]
    prompts = load_inputs("zoo://prompts", decoder, limit=5)
    (tokens,) = prompts.samples.arrays
    assert (tokens.shape, tokens.dtype, prompts.names) == ((5, 1, 16), np.int32, ("00", "04", "08", "12", "16"))
    with pytest.raises(UsageError, match=r"^zoo://prompts: are tokens, int32 \[1, 16\], which resnet does not take$"):
        load_inputs("zoo://prompts", load_model("zoo://resnet"))
    with pytest.raises(UsageError, match=r"decoder takes tokens \[1, 16\], which is not one colour image"):
        load_inputs("zoo://digits", decoder)


@pytest.mark.real_data
def test_both_real_data_sets_load_with_their_labels(real_data):
    for name, folder in (("mobilenetv2", "imagenet1k-one-per-class"), ("cifar10_resnet8", "cifar10-test-1000")):
        inputs = load_inputs(real_data / folder, load_model(real_data / "models" / f"{name}.onnx"), limit=5)
        assert inputs.labels is not None and len(inputs) == 5
