"""``python -m tvm_mutate.bench``: a tiny run, and bad input."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PIL import Image

from tvm_mutate.bench import bench
from tvm_mutate.cli.console import run_command
from tvm_mutate.results import read_json

from .conftest import Ended, Tool, assert_refused


@pytest.fixture
def run_bench(capfd: pytest.CaptureFixture[str]) -> Tool:
    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        code = run_command(bench, [str(each) for each in arguments], name="python -m tvm_mutate.bench")
        return Ended(code, *capfd.readouterr())

    return run


def test_a_tiny_bench_writes_its_files_and_prints_the_table_and_the_figures_of_the_paper(process: Tool, tmp_path: Path):
    arguments = ("--models", "alexnet", "--targets", "llvm", "--operators", "tir.swap-compare", "--limit", "3")
    arguments += ("--sites", "first", "--workers", "1")
    ended = process(*arguments, "--output", tmp_path / "out", "--quiet", module="tvm_mutate.bench")
    assert (ended.code, ended.err) == (0, "")
    results = read_json(tmp_path / "out")
    assert {(row.model, row.device, row.inputs) for row in results.mutants} == {("alexnet", "llvm", 3)}
    with (tmp_path / "out" / "mutants.csv").open(newline="") as lines:
        assert [row["id"] for row in csv.DictReader(lines)] == sorted(row.id for row in results.mutants)
    assert (tmp_path / "out" / "discrepancies.csv").is_file()
    for part in ("Canaries", "Model alexnet", "Conditional Statement Operations", "MutateNN paper", "90.3", "99.8"):
        assert part in ended.out
    assert ended.out.splitlines()[-1].startswith("time: ")


def test_a_wrong_label_of_own_images_is_refused(run_bench: Tool, tmp_path: Path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "some.csv").write_text("file,class_index\na.png,77\n")
    arguments = (
        "--models",
        "alexnet",
        "--targets",
        "llvm",
        "--inputs",
        tmp_path / "images",
        "--output",
        tmp_path / "o",
    )
    ended = run_bench(*arguments, "--labels", tmp_path / "images" / "some.csv")
    assert_refused(ended, "class index 77")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "alexnt"], "did you mean 'alexnet'?"),
        (["--models", "decoder", "--inputs", "photographs"], "--models decoder reads prompts, so it takes no --inputs"),
        (["--models", "nope"], "is not a model of the bench; known: alexnet, "),
        (["--models", ","], "--models names no model"),
        (["--operators", "tir.swop-compare"], "did you mean 'tir.swap-compare'?"),
        (["--operators", ""], "--operators names no operator"),
        (["--sites", "some"], "--sites 'some' is not known"),
        (["--slots", "kernels"], "--slots 'kernels' is not a slot"),
        (["--targets", "lvm"], "did you mean 'llvm'?"),
        (["--targets", "llvm,c"], "is not one that TVM knows"),
        (["--sample", "5", "--sites", "first"], "--sample takes single sites"),
        (["--shard", "1/0"], "--shard '1/0' is not a shard"),
        (["--memory", "lots"], "--memory 'lots' is not a size"),
        (["--precision", "2"], "2.0 is not in the range"),
        (["--limit", "0"], "0 is not in the range"),
        (["--workers", "-1"], "-1 is not in the range"),
        (["--real", "nowhere"], "--real needs --inputs"),
        (["--real", "nowhere", "--inputs", "nowhere"], "--real nowhere: is no folder"),
        (["--inputs", "nowhere"], "nowhere: there is no such file or folder"),
        (["--labels", "labels.csv"], "--labels needs --inputs"),
    ],
)
def test_bad_input_of_the_bench_is_refused_and_nothing_is_written(
    run_bench: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
):
    monkeypatch.chdir(tmp_path)
    assert_refused(run_bench(*arguments), message)
    assert not list(tmp_path.iterdir())
