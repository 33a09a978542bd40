"""The README and the guides are executed: commands, Python, and the shape of the shown outputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import tvm
from PIL import Image

from tests.entry_points import environment_with_entry_points
from tvm_mutate.device import read_devices
from tvm_mutate.mutant import ENTRY_POINT_GROUP, Catalogue, Operator
from tvm_mutate.native import native_library
from tvm_mutate.passes import Selection, apply_mutations

ROOT = Path(__file__).resolve().parents[1]
# Made by a command; programs with tests of their own; for contributors.
OTHERS = ("operators", "findings", "architecture")
PAGES = [ROOT / "README.md", *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.stem not in OTHERS)]
README = "".join(path.read_text() for path in PAGES)
ASSIGNMENT = re.compile(r"^(TVM_MUTATE)='([^']*)' ")
PROGRAMS = {"tvm-mutate": [sys.executable, "-m", "tvm_mutate"], "python": [sys.executable], "git": ["git"]}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def sessions() -> list[list[tuple[str, str]]]:
    """The console blocks: each ``$ command`` of a block, with the output that is shown below it."""
    found = []
    for block in blocks("console"):
        parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        found.append([(command, shown) for command, _, shown in (part.partition("\n") for part in parts)])
    return found


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command in the folder, with the files of the README there, and entry points as if it were installed."""
    for block in blocks("python"):
        if name := re.match(r"# (\w+\.py)\n", block):
            (folder / name[1]).write_text(block)
    if "model.onnx" in command:
        write_a_classifier_of_images(folder)
    variables = dict(ASSIGNMENT.findall(command))
    program, _, arguments = ASSIGNMENT.sub("", command).partition(" ")
    words = subprocess.list2cmdline(PROGRAMS[program]) + " " + arguments
    environment = environment_with_entry_points(folder, **variables)
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    return subprocess.run(words, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def write_a_classifier_of_images(folder: Path) -> None:
    """A model of three classes, the largest mean of red, green and blue, and an image of each class."""
    nodes = [
        onnx.helper.make_node("GlobalAveragePool", ["image"], ["means"]),
        onnx.helper.make_node("Flatten", ["means"], ["scores"]),
    ]
    sides = {"image": (1, 3, 224, 224), "scores": (1, 3)}
    first, last = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in sides.items()
    )
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "means", [first], [last]))
    model.ir_version = 10
    onnx.save(model, folder / "model.onnx")
    (folder / "images").mkdir(exist_ok=True)
    for name in ("red", "lime", "blue"):
        Image.new("RGB", (300, 260), name).save(folder / "images" / f"{name}.png")
    (folder / "labels.csv").write_text("file,class_index\nimages/red.png,0\nimages/lime.png,1\nimages/blue.png,2\n")


def shape(line: str) -> str:
    """A line without its numbers, blanks and rules, which differ from run to run."""
    return re.sub(r"[─\s-]+", " ", re.sub(r"\d+(\.\d+)?", "#", line)).strip()


def shapes(text: str) -> str:
    """The shapes of the lines that are not blank, each with its end."""
    return "".join(f"{line}\n" for line in map(shape, text.splitlines()) if line)


def pattern_of(shown: str) -> str:
    """A regular expression for the shapes of an output of which parts are shown; "…" stands for lines left out."""
    return "(?:.*\\n)*".join(map(re.escape, map(shapes, re.split(r"^…\n", shown, flags=re.MULTILINE))))


@pytest.mark.parametrize("session", sessions(), ids=lambda session: session[0][0][:60])
def test_the_commands_of_a_block_work_and_print_lines_like_those_shown(session: list[tuple[str, str]], tmp_path: Path):
    for command, shown in session:
        finished = run(command, tmp_path)
        assert finished.returncode == 0, finished.stderr
        if shown.strip():
            assert re.fullmatch(pattern_of(shown), shapes(finished.stdout)), finished.stdout


def test_the_first_steps_in_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in blocks("python") if "run_campaign(" in block]
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    assert names["results"].score.value is not None


def test_the_pages_use_the_public_api_only():
    imports = re.findall(r"^ *(?:from|import) (tvm_mutate\S*)", "".join(blocks("python")), re.MULTILINE)
    assert {*imports} == {"tvm_mutate"}


def test_links_between_the_pages_exist():
    for path in PAGES:
        for link in re.findall(r"\]\(([\w./-]+\.md)", path.read_text()):
            assert (path.parent / link).is_file(), f"{path.name}: {link}"


def test_the_python_of_the_recipes_runs():
    recipes = [block for block in blocks("python") if "mutant_passes(" in block or "mutated_pipelines(" in block]
    assert len(recipes) == 2
    names: dict = {}
    for block in recipes:
        exec(compile(block, "README.md", "exec"), names)
    assert names["executable"] is not None


def test_a_mutant_is_active_in_its_context(capsys: pytest.CaptureFixture[str]):
    names: dict = {}
    for block in blocks("python"):
        if block.startswith("# check.py") or "tvm_mutate.activate(" in block:
            exec(compile(block, "README.md", "exec"), names)
    assert "was applied (builds changed: 1 of 1)" in capsys.readouterr().out


@pytest.mark.skipif(not native_library(), reason=str(native_library().obstacle))
def test_the_python_of_the_native_passes_runs():
    (block,) = [block for block in blocks("python") if "native" in block]
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    kernel = "@T.prim_func(s_tir=True)\ndef main(A: T.Buffer((9,), 'int32')):\n    for i in range(9):\n        {}\n"
    guarded, empty = (
        tvm.IRModule({"fused_guard": tvm.script.from_source(kernel.format(body))})
        for body in ("if i < 8:\n            A[i] = 0", "T.evaluate(0)")
    )
    by_mutant, by_name = (names[name](guarded) for name in ("by_mutant", "by_name"))
    tvm.ir.assert_structural_equal(by_mutant, by_name)
    assert "i <= 8" in by_name.script()
    tvm.ir.assert_structural_equal(names["pipeline"](guarded), empty)


def test_the_operator_passes_its_own_example():
    (block,) = [block for block in blocks("python") if "Operator(" in block]
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    operator: Operator = names["ADD_TO_SUBTRACT"]
    assert Catalogue([operator])[operator.name] is operator
    selection = Selection(operator.mutation(), operator, operator.read_parameters(operator.mutation()))
    before, after = (
        tvm.IRModule({"main": tvm.script.from_source(text)})
        for text in (operator.examples[0].before, operator.examples[0].after)
    )
    tvm.ir.assert_structural_equal(apply_mutations(before, [selection])[0], after)


def test_the_entry_point_is_in_the_group_of_the_catalogue():
    (block,) = [block for block in blocks("toml") if "entry-points" in block]
    assert f'[project.entry-points."{ENTRY_POINT_GROUP}"]' in block


def test_the_install_and_test_commands_are_what_continuous_integration_runs():
    script = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in script
    (install,) = [block for block in blocks("sh") if "tvm_mutate.bench" in block]
    (test,) = [block for block in blocks("sh") if "pytest" in block]
    assert install.count("\n") == test.count("\n") == 1


def test_the_file_of_devices_names_three(tmp_path: Path):
    (block,) = [block for block in blocks("toml") if "session" in block]
    (tmp_path / "devices.toml").write_text(block)
    fast, clang, board = read_devices(tmp_path / "devices.toml")
    assert (fast.name, clang.toolchain.compiler, board.is_remote) == ("fast", "clang", True)
