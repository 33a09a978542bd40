"""Inputs by name, from files, functions, sounds and random numbers; what does not fit is one sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tvm
from PIL import Image
from scipy.io import wavfile

from tests.model.model_files import tiny_model
from tvm_mutate.campaign import prepare_subjects
from tvm_mutate.errors import UsageError
from tvm_mutate.model import Model, Preprocessing, RandomInputs, load_inputs, load_model

PROGRAM = """
import numpy as np
from tvm import relax


def model():
    builder = relax.BlockBuilder()
    ids = relax.Var("ids", relax.TensorType([1, relax.ShapeExpr(["n"])[0] if False else N], "int64"))
    bias = relax.Var("bias", relax.TensorType([1, N, 4], "float16"))
    keep = relax.Var("keep", relax.TensorType([], "bool"))
    with builder.function("main", [ids, bias, keep]):
        rows = builder.emit(relax.op.take(relax.const(np.ones((5, 4), np.float16)), ids, axis=0))
        out = builder.emit(relax.op.where(keep, relax.op.add(rows, bias), rows))
        builder.emit_func_output(out)
    return builder.get()


def samples():
    for number in range(3):
        yield {"ids": [[number] * 7], "bias": np.zeros((1, 7, 4), np.float16), "keep": True}


def ragged():
    yield {"ids": [[1, 2]]}
    yield {"ids": [[1, 2, 3]]}


import tvm

N = tvm.tirx.Var("n", "int64")
"""
IDS = np.array([[[0, 1, 4]], [[2, 2, 2]]])
BIAS = np.zeros((2, 1, 3, 4), np.float16)
KEEP = np.array([True, False])


@pytest.fixture
def program(tmp_path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.replace('relax.ShapeExpr(["n"])[0] if False else N', "N"))
    return path


@pytest.fixture
def model(program) -> Model:
    return load_model(program)


def refused(path, model: Model, **options) -> str:
    with pytest.raises(UsageError) as raised:
        load_inputs(path, model, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def archive(tmp_path: Path, **arrays: np.ndarray) -> Path:
    np.savez(tmp_path / "set.npz", **{"ids": IDS, "bias": BIAS, "keep": KEEP, **arrays})
    return tmp_path / "set.npz"


def test_an_archive_has_an_array_for_each_input(tmp_path, model):
    inputs = load_inputs(archive(tmp_path), model)
    for got, wanted in zip(inputs.samples.arrays, (IDS, BIAS, KEEP), strict=True):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype
    assert inputs.names == ("0", "1") and inputs.source == str(tmp_path / "set.npz")


def test_a_batch_of_one_may_be_missing_and_one_sample_serves_for_all(tmp_path, model):
    inputs = load_inputs(archive(tmp_path, ids=IDS[:, 0], bias=BIAS[:1].astype(np.float32), keep=np.array(True)), model)
    assert [each.shape for each in inputs.samples.arrays] == [(2, 1, 3), (2, 1, 3, 4), (2,)]
    assert [each.dtype.name for each in inputs.samples.arrays] == ["int64", "float16", "bool"]
    np.testing.assert_array_equal(inputs.samples.arrays[0], IDS)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"idz": IDS}, "gives 'idz', which is no input of program; did you mean 'ids'?"),
        ({"ids": IDS.astype(np.float32)}, "'ids' is float32 [2, 1, 3], but program takes int64 [N, "),
        ({"keep": np.array([1, 0])}, "'keep' is int64 [2], but program takes bool [N]"),
        ({"bias": BIAS[..., :3]}, "'bias' is float16 [2, 1, 3, 3], but program takes float16 [N, 3, 4]"),
        ({"bias": BIAS[:, :, :2]}, "'bias' is float16 [2, 1, 2, 4], but program takes float16 [N, 3, 4]"),
        ({"ids": IDS + 1}, "'ids' holds 5, but it indexes a table of 5 rows; give 0 to 4"),
        ({"ids": np.tile(IDS, (2, 1, 1))}, "has 2 samples of 'bias', but 4 of another input"),
    ],
)
def test_an_array_that_does_not_fit_is_one_sentence(tmp_path, model, changes, expected):
    assert expected in refused(archive(tmp_path, **changes), model)


def test_a_missing_input_is_named_with_the_ways_to_give_it(tmp_path, model):
    np.save(tmp_path / "ids.npy", IDS)
    named = {"ids": tmp_path / "ids.npy"}
    assert "does not give the input 'bias' of program" in (message := refused(named, model))
    assert "--model-input bias=FILE.npy, or --random N" in message
    inputs = load_inputs(named, model, random=RandomInputs(9, seed=1))
    assert [len(each) for each in inputs.samples.arrays] == [2, 2, 2]
    assert inputs.source.endswith("ids.npy, the rest random (9 samples, seed 1)")
    assert "has 3 inputs (ids, bias, keep)" in refused(tmp_path / "ids.npy", model)
    assert "--model-input names 'idz'" in refused({"idz": tmp_path / "ids.npy"}, model)


def test_a_function_yields_samples(program, model):
    inputs = load_inputs(f"{program}:samples", model, limit=2)
    assert [each.shape for each in inputs.samples.arrays] == [(2, 1, 7), (2, 1, 7, 4), (2,)]
    assert inputs.samples.arrays[0][1].tolist() == [[1] * 7]
    assert all(isinstance(each, np.ndarray) for each in inputs.samples[0])  # TVM takes no scalars of NumPy
    assert "sample 1 has other inputs or shapes than sample 0" in refused(f"{program}:ragged", model)
    assert "yield dictionaries" in refused(f"{program}:model", model)


def test_random_inputs_have_the_types_and_ranges_of_the_inputs_and_depend_on_the_seed(model):
    def arrays(**options):
        return load_inputs(None, model, random=RandomInputs(50, **options), sizes={"n": 3}).samples.arrays

    ids, bias, keep = arrays()
    assert (ids.shape, bias.shape, keep.shape) == ((50, 1, 3), (50, 1, 3, 4), (50,))
    assert (ids.min(), ids.max()) == (0, 4)  # the table has five rows
    assert 0.9 < bias.astype(np.float64).std() < 1.1
    assert set(keep.tolist()) == {True, False}
    np.testing.assert_array_equal(arrays()[1], bias)
    assert (arrays(seed=1)[1] != bias).any()
    ids, bias, _ = arrays(ranges={"ids": (1, 2), "float16": (3, 4)})
    assert (ids.min(), ids.max()) == (1, 2) and 3 <= bias.min() <= bias.max() <= 4
    assert "holds 6, but it indexes a table of 5 rows" in refused(
        None, model, random=RandomInputs(9, ranges={"ids": (6, 6)}), sizes={"n": 3}
    )


def test_without_inputs_there_are_eight_random_samples_and_open_symbols_are_named(model):
    inputs = load_inputs(None, model, sizes={"n": 3})
    assert len(inputs) == 8 and inputs.source == "random (8 samples, seed 0)"
    assert "has the symbolic dimensions 'n' at position 1 of 'ids'; give them with --shape" in refused(None, model)


def test_several_numbers_of_a_symbol_make_a_subject_each(tmp_path, program):
    subjects = prepare_subjects(str(program), None, tmp_path, shape={"n": (1, 7)}, random=RandomInputs(2))
    assert [each.name for each in subjects] == ["program-n1", "program-n7"]
    assert [each.samples().arrays[0].shape for each in subjects] == [(2, 1, 1), (2, 1, 7)]
    assert subjects[0].row().inputs_source == "random (2 samples, seed 0)"
    (single,) = prepare_subjects(str(program), None, tmp_path / "one", shape={"n": (7,)})
    assert single.name == "program" and isinstance(single.load().module, tvm.IRModule)


def test_images_are_grouped_for_a_batch(tmp_path, save):
    for value in range(5):
        Image.new("RGB", (8, 8), (value, value, value)).save(tmp_path / f"{value}.png")
    model = load_model(save(tiny_model([2, 3, 8, 8])), preprocessing=Preprocessing())
    (array,) = load_inputs(tmp_path, model).samples.arrays
    assert array.shape == (2, 2, 3, 8, 8)  # the fifth image is no whole batch
    assert array[:, :, 0, 0, 0].tolist() == [[0, 1], [2, 3]]
    pixels = replace(model, scenario=replace(model.scenario, inputs=(replace(model.inputs[0], dtype="uint8"),)))
    assert load_inputs(tmp_path, pixels).samples.arrays[0].dtype == np.uint8


def test_a_sound_is_cut_into_windows_of_the_input(tmp_path, model):
    wavfile.write(tmp_path / "tone.wav", 16000, np.array([[0, 16384], [32767, 32767], [-32768, -32768]], np.int16))
    sound = replace(model.inputs[1], name="sound", shape=(1, 2), dtype="float32")
    taking = replace(model, scenario=replace(model.scenario, inputs=(sound,), calls=()))
    (array,) = load_inputs(tmp_path / "tone.wav", taking).samples.arrays
    np.testing.assert_allclose(array, [[[0.25, 32767 / 32768]], [[-1, 0]]])
    (tmp_path / "broken.wav").write_bytes(b"text")
    assert "cannot be read as sound" in refused(tmp_path / "broken.wav", taking)
