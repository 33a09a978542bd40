"""Bad input is refused with one sentence and exit code 1, and nothing is written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tvm_mutate.kernels import cuda_architecture
from tvm_mutate.model.zoo import zoo_model_path

from .conftest import Tool, assert_refused

ZOO = "zoo://alexnet"
SELECTION = ("--operators", "tir.swap-compare", "--limit", "2", "--quiet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "Did you mean 'list'?"),
        (["list"], "Missing argument 'MODEL'"),
        (["list", ZOO, "--jsn"], "No such option '--jsn'"),
        (["list", "zoo://alexnt"], "did you mean 'alexnet'?"),
        (["list", "zo://alexnet"], "there is no zo://"),
        (["list", "alexnet"], "did you mean 'zoo://alexnet'?"),
        (["list", "nowhere.onnx"], "nowhere.onnx: there is no such file"),
        (["list", "."], "is a folder"),
        (["list", ZOO, "--operators", "tir.swap-compar"], "did you mean 'tir.swap-compare'?"),
        (["list", ZOO, "--sites", "sample:x"], "--sites 'sample:x' is not known"),
        (["list", ZOO, "--sites", "sample:0"], "--sites 'sample:0' is not known"),
        (["list", ZOO, "--slots", "nope"], "--slots 'nope' is not a slot"),
        (["list", ZOO, "--slots", "memory"], "no chosen operator acts there; choose of memory.share-storage"),
        (["list", ZOO, "--seed", "x"], "'x' is not a valid integer"),
        (["list", ZOO, "--target", "cudda"], "did you mean 'cuda'?"),
        (["list", ZOO, "--target", "llvm -mcpu=native"], "options in the old style"),
        (["list", ZOO, "--target", '{"kind":'], "is not JSON"),
        (["list", ZOO, "--target", '{"mcpu":"x86-64-v3"}'], "is not one that TVM knows"),
        (["list", ZOO, "--target", '{"kind":"llvm","mcpu":"x86-64-v33"}'], "LLVM knows no processor 'x86-64-v33'"),
        (["list", ZOO, "--shape", "inptu=1,3,32,32"], "--shape names 'inptu'"),
        (["list", ZOO, "--relax-pipeline", "flow.py"], "--relax-pipeline 'flow.py' names no function"),
        (["list", ZOO, "--tir-pipeline", "nowhere.py:made"], "--tir-pipeline 'nowhere.py:made': there is no such file"),
        (["list", ZOO, "--config", "opt_level"], "--config 'opt_level' does not parse; write KEY=VALUE"),
        (["list", ZOO, "--config", "opt_levle=1"], "did you mean 'opt_level'?"),
        (["list", ZOO, "--config", "opt_level=high"], "--config opt_level='high' is no int"),
        (["list", ZOO, "--config", "relax.FuseOps.max_depth=deep"], "relax.FuseOps.max_depth to have type int"),
        (["run", ZOO, "--device", 'x={"kind":"llvm","config":3}'], "config is no table"),
        (["show", "tir.swap-compare{from=gt,to=ge}@*#*", ZOO, "--context", "-1"], "-1 is not in the range"),
        (["doctor", "--target", "nope"], "target 'nope' is not one that TVM knows"),
        (["run", ZOO, "--fail-under", "101"], "101.0 is not in the range"),
        (["run", ZOO, "--fail-under", "nan"], "'nan' is not a finite number"),
        (["run", ZOO, "--timeout", "0"], "0.0 is not in the range"),
        (["run", ZOO, "--workers", "-1"], "-1 is not in the range"),
        (["run", ZOO, "--limit", "0"], "0 is not in the range"),
        (["run", ZOO, "--oracle", "nope"], "there is no oracle 'nope'"),
        (["run", ZOO, "--oracle", "top-k{k=0}"], "top-k"),
        (["run", ZOO, "--oracle", "nowhere.py:check"], "nowhere.py: there is no such file; check the path"),
        (["run", ZOO, "--target", "vulkan"], "nothing here runs code for vulkan"),
        (["run", ZOO, "--target", "llvm", "--target", "llvm"], "two devices are named 'llvm'"),
        (["run", ZOO, "--recipe", "imagnet"], "did you mean 'imagenet'?"),
        (["run", ZOO, "--std", "0,1,1"], "no channel can be divided by 0"),
        (["run", ZOO, "--resize", "-3"], "resize is -3"),
        (["run", ZOO, "--labels", "labels.csv"], "--labels needs --inputs"),
        (["run", ZOO, "--inputs", "nowhere"], "nowhere: there is no such file or folder"),
        (["run", "model.onnx"], "model.onnx: there is no such model"),
        (["run", __file__], "cannot be run: ImportError"),
        (["run", ZOO, "--model-input", "input=a.npy", "--inputs", "b"], "--inputs and --model-input both give inputs"),
        (["run", ZOO, "--model-input", "a.npy"], "--model-input 'a.npy' does not parse; write NAME=PATH"),
        (["run", ZOO, "--random", "2", "--range", "input=3"], "--range 'input=3' does not parse; write NAME=LOW,HIGH"),
        (
            ["run", ZOO, "--random", "2", "--range", "inptu=0,1"],
            "--range names 'inptu', which is no input",
        ),
        (["run", ZOO, "--random", "2", "--range", "input=1,0"], "--range input=1,0 is empty"),
        (["run", ZOO, "--function", "mian"], "has no Relax function 'mian' (it has main)"),
        (["list", ZOO, "--sample", "0"], "0 is not in the range"),
        (["list", ZOO, "--sample", "5", "--sites", "all"], "--sample takes single sites"),
        (["list", ZOO, "--sample", "5", "--mutant", "tir.store-through@*#*"], "--mutant names mutants"),
        (["list", ZOO, "--sample", "5", "--order", "0"], "0 is not in the range"),
        (["list", ZOO, "--order", "2"], "order 2 needs a sample"),
        (["run", ZOO, "--order", "2", "--sites", "each"], "order 2 needs a sample"),
        (["list", ZOO, "--shard", "3/2"], "--shard '3/2' is not a shard; write k/n with k from 1 to n"),
        (["run", ZOO, "--memory", "4X"], "--memory '4X' is not a size"),
        (["run", ZOO, "--memory", "100M"], "--memory 100M is too small: "),
        (["run", ZOO, "--until", "survived"], "'survived' is not 'killed'"),
        (["run", ZOO, "--precision", "0"], "0.0 is not in the range"),
        (["run", ZOO, "--precision", "1"], "1.0 is not in the range"),
        (["run", ZOO, "--precision", "nan"], "'nan' is not a finite number"),
        (["run", ZOO, "--limit", "1", "--iterate", "nowhere"], "nowhere holds no journal of a campaign"),
    ],
)
def test_a_bad_argument_is_refused_in_one_sentence(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    assert_refused(tool(*arguments), message)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(bool(cuda_architecture()), reason="there is a GPU")
def test_a_gpu_target_without_a_gpu_is_refused(tool: Tool, tmp_path: Path):
    ended = tool("run", ZOO, *SELECTION, "--target", "cuda", "--output", tmp_path / "out")
    assert_refused(ended, "nothing here runs code for cuda", "tvm-mutate show MUTANT MODEL --target cuda")
    assert not (tmp_path / "out").exists()


def test_without_a_command_the_help_is_shown_with_exit_code_one(tool: Tool):
    ended = tool()
    assert ended.code == 1
    assert ended.err.startswith("Usage: tvm-mutate ") and ended.out == ""


def no_images(folder: Path) -> list[object]:
    (folder / "images").mkdir()
    (folder / "images" / "notes.txt").write_text("none")
    return ["--inputs", folder / "images"]


def wrong_size(folder: Path) -> list[object]:
    (folder / "images").mkdir()
    Image.new("RGB", (50, 40)).save(folder / "images" / "a.png")
    return ["--inputs", folder / "images"]


def broken_image(folder: Path) -> list[object]:
    wrong_size(folder)
    whole = (folder / "images" / "a.png").read_bytes()
    (folder / "images" / "a.png").write_bytes(whole[: len(whole) // 2])
    return ["--inputs", folder / "images"]


def gigantic_image(folder: Path) -> list[object]:
    (folder / "images").mkdir()
    header = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    (folder / "images" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    return ["--inputs", folder / "images"]


def labels_of_others(folder: Path) -> list[object]:
    (folder / "images").mkdir()
    Image.new("RGB", (32, 32)).save(folder / "images" / "a.png")
    (folder / "labels.csv").write_text("file,class_index\nb.png,1\n")
    return ["--inputs", folder / "images", "--labels", folder / "labels.csv"]


def labels_without_columns(folder: Path) -> list[object]:
    arguments = labels_of_others(folder)
    (folder / "labels.csv").write_text("picture\na.png\n")
    return arguments


def label_beyond_the_classes(folder: Path) -> list[object]:
    (folder / "images").mkdir()
    Image.new("RGB", (32, 32)).save(folder / "images" / "a.png")
    (folder / "images" / "labels.csv").write_text("file,class_index\na.png,77\n")
    return ["--inputs", folder / "images"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_images, "holds no images"),
        (wrong_size, "is 50 x 40 pixels, but the model takes 32 x 32"),
        (broken_image, "a.png: cannot be decoded"),
        (gigantic_image, "a.png"),
        (labels_of_others, "names 'b.png', which does not exist"),
        (labels_without_columns, "has the columns picture; it needs file"),
        (label_beyond_the_classes, "has class index 77, but alexnet has classes 0 to 9"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(
    tool: Tool, tmp_path: Path, make: Callable[[Path], list[object]], message: str
):
    assert_refused(tool("run", ZOO, *make(tmp_path), *SELECTION, "--output", tmp_path / "out"), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"not onnx at all" * 50, "not an ONNX file"),
        (None, "is truncated or not an ONNX file"),
    ],
    ids=["empty", "garbage", "truncated"],
)
def test_a_broken_model_is_refused(tool: Tool, tmp_path: Path, content: bytes | None, message: str):
    whole = zoo_model_path("alexnet").read_bytes()
    (tmp_path / "broken.onnx").write_bytes(whole[: len(whole) // 3] if content is None else content)
    assert_refused(tool("list", tmp_path / "broken.onnx"), "broken.onnx", message)


@pytest.mark.parametrize("output", ["file", "file/below", "/proc/tvm_mutate"])
def test_an_impossible_output_folder_is_refused(tool: Tool, tmp_path: Path, network: list[str], output: str):
    (tmp_path / "file").write_text("mine")
    ended = tool("run", *network, *SELECTION, "--output", tmp_path / output)
    assert_refused(ended, "cannot be used", "name another with --output")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_folder_without_permission_is_refused(tool: Tool, tmp_path: Path, network: list[str]):
    (tmp_path / "out").mkdir(mode=0o500)
    try:
        (tmp_path / "out" / "probe").touch()
    except PermissionError:
        assert_refused(tool("run", *network, *SELECTION, "--output", tmp_path / "out"), "permission denied")
    else:
        pytest.skip("permission bits do not bind this user")
