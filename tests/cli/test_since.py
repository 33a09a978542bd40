"""``--since`` and ``--since-git``: only mutants in functions that differ from an earlier campaign or revision."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tvm_mutate.mutant import Mutant

from .conftest import Tool, assert_refused, write_network

# The pipeline folds the relu into the convolution of its own kernel, or leaves it alone.
FLOW = """
import tvm
from tvm import relax
import rewriting


def pipeline():
    return tvm.transform.Sequential([rewriting.relu_to_relu6, relax.get_pipeline("zero")])


def kernels():
    from tvm import tirx

    lower, *finalizers = tirx.get_tir_pipeline("default")
    return (tvm.transform.Sequential([PASSES lower]), *finalizers)
"""
REWRITING = """
from tvm import relax
from tvm.relax.dpl import is_op, rewrite_call, wildcard


@relax.transform.function_pass(opt_level=0, name="ReluToRelu6")
def relu_to_relu6(function, _module, _context):
    x = wildcard()
    return rewrite_call(is_op("relax.nn.relu")(x), lambda _, found: relax.op.clip(found[x], 0, LIMIT), function)
"""
KERNELS = ["--operators", "tir.scale-store", "--sites", "each"]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "state")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a model, and a pipeline that imports one of its passes; one commit."""
    git(tmp_path, "init", "--quiet")
    write_network(tmp_path)
    (tmp_path / "flow.py").write_text(FLOW.replace("PASSES", ""))
    (tmp_path / "rewriting.py").write_text(REWRITING.replace("LIMIT", "6"))
    (tmp_path / ".gitignore").write_text("out*\n__pycache__\n")
    commit(tmp_path)
    return tmp_path


def arguments(folder: Path) -> list[str]:
    return [str(folder / "network.py"), *KERNELS, "--relax-pipeline", f"{folder}/flow.py:pipeline"]


def functions(ids: list[str]) -> set[str]:
    return {Mutant.parse(each).mutations[0].function for each in ids}


def test_a_changed_pass_leaves_only_the_mutants_of_the_kernels_that_it_changes(
    tool: Tool, repository: Path, tmp_path: Path
):
    """The pass is in a module that the pipeline's file imports: both states of the module are imported."""
    model, *rest = arguments(repository)
    listed = ["list", model, *rest]
    every = tool(*listed).out.splitlines()
    index = (repository / ".git" / "index").read_bytes()
    unchanged = tool(*listed, "--since-git", "HEAD")
    assert unchanged.code == 0 and unchanged.out == ""
    assert f"{len(every)} are left out, in unchanged functions: " in unchanged.err

    (repository / "rewriting.py").write_text(REWRITING.replace("LIMIT", "3.5"))
    del sys.modules["rewriting"]  # a new process would not have it
    changed = tool(*listed, "--since-git", "HEAD")
    ids = changed.out.splitlines()
    (kernel,) = functions(ids)
    assert "clip" in kernel and len(functions(every)) > 1
    assert ids == [each for each in every if Mutant.parse(each).mutations[0].function == kernel]
    assert (
        f"since HEAD, {len(ids)} mutants are in functions that differ: {kernel}; {len(every) - len(ids)}" in changed.err
    )

    inputs = ["--inputs", repository / "network.npy", "--workers", "1", "--limit", "2"]
    ran = tool("run", model, *rest, *inputs, "--since-git", "HEAD", "--output", tmp_path / "out")
    assert ran.code == 0, ran.err
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["mutants"]
    assert sorted(row["id"] for row in rows) == sorted(ids)
    assert (repository / ".git" / "index").read_bytes() == index
    assert git(repository, "status", "--porcelain") == " M rewriting.py\n"


def test_a_changed_tir_pipeline_changes_the_kernels_whose_lowered_code_differs(tool: Tool, repository: Path):
    listed = ["list", *arguments(repository), "--tir-pipeline", f"{repository}/flow.py:kernels"]
    every = tool(*listed).out
    assert tool(*listed, "--since-git", "HEAD").out == ""
    (repository / "flow.py").write_text(FLOW.replace("PASSES", "tirx.transform.ConvertForLoopsToSerial(),"))
    assert tool(*listed, "--since-git", "HEAD").out == ""  # there is no parallel loop
    only_stores = "tirx.transform.prim_func_pass(lambda f, m, c: f.with_attr('tirx.noalias', False), opt_level=0),"
    (repository / "flow.py").write_text(FLOW.replace("PASSES", only_stores))
    assert tool(*listed, "--since-git", "HEAD").out == every


def test_a_changed_model_in_git_leaves_unchanged_kernels_out(tool: Tool, repository: Path):
    network = repository / "network.py"
    before = functions(tool("list", network, *KERNELS).out.splitlines())
    network.write_text("# another line\n" + network.read_text().replace("size=(64, 5)", "size=(64, 7)"))
    ids = tool("list", network, *KERNELS, "--since-git", "HEAD").out.splitlines()
    assert functions(ids) == {"matmul"} < before


def test_files_that_are_new_or_cannot_be_used_at_the_revision_make_everything_new(tool: Tool, repository: Path):
    listed = arguments(repository)
    every = tool("list", *listed).out
    works = (repository / "flow.py").read_text()
    (repository / "flow.py").unlink()
    commit(repository)
    (repository / "flow.py").write_text(works)
    missing = tool("list", *listed, "--since-git", "HEAD")
    assert missing.out == every and "flow.py is not in that revision, so everything is new" in missing.err
    (repository / "flow.py").write_text("raise SystemError('broken')")
    commit(repository)
    (repository / "flow.py").write_text(works)
    broken = tool("list", *listed, "--since-git", "HEAD")
    assert broken.out == every
    assert f"the files then cannot be used ({repository}/flow.py: cannot be run: SystemError" in broken.err


def test_a_campaign_since_its_own_results_runs_nothing_and_since_those_of_another_kernel_its_mutants(
    tool: Tool, tmp_path: Path
):
    network = write_network(tmp_path)
    first = tool("run", *network, *KERNELS, "--limit", "1", "--output", tmp_path / "first")
    assert first.code == 0, first.err
    again = [*network, *KERNELS, "--limit", "1", "--since", tmp_path / "first", "--fail-under", "50"]
    nothing = tool("run", *again, "--output", tmp_path / "nothing")
    assert (nothing.code, nothing.out) == (0, "no mutant is in a function that differs: nothing was run\n")
    assert json.loads((tmp_path / "nothing" / "results.json").read_text())["mutants"] == []

    write_network(tmp_path, "relax.op.matmul(flat, relax.const(np.ones((64, 7), 'float32')))")
    changed = tool("list", network[0], *KERNELS, "--since", tmp_path / "first")
    assert functions(changed.out.splitlines()) == {"matmul"}
    assert "mutants are in functions that differ: matmul; " in changed.err


def test_states_that_cannot_be_found_are_refused(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    network = tmp_path / "network.py"
    write_network(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert_refused(
        tool("list", network, "--since-git", "HEAD"), "no file of model and pipelines is in a git repository"
    )
    assert_refused(tool("list", "zoo://alexnet", "--since-git", "HEAD"), "is in a git repository (there are no files)")
    git(tmp_path, "init", "--quiet")
    assert_refused(tool("list", network, "--since-git", "HEAD"), f"{tmp_path} has no such revision")
    commit(tmp_path)
    assert_refused(tool("list", network, "--since-git", "--all"), "--all: ", "has no such revision; name a commit")
    assert_refused(tool("list", network, "--since", tmp_path), "results.json cannot be read")
    assert_refused(tool("list", network, "--since", tmp_path, "--since-git", "HEAD"), "give one of them")
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert_refused(tool("list", network, "--since-git", "HEAD"), "needs git, which is not installed")
