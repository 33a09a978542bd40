"""Completion in shells: the words are right, and no TVM is imported for them once they are in the cache."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from tvm_mutate.cli.completion import WholeWords, matching
from tvm_mutate.cli.main import COMMANDS
from tvm_mutate.model import REAL_MODELS
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import ORACLES
from tvm_mutate.report import FORMATS

from .conftest import command

CPU_SECONDS = 1.0


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder, which the first completion fills."""
    folder = tmp_path_factory.mktemp("cache")
    assert complete(folder, "run", "--ora") == ["--oracle"]
    assert [path.name for path in (folder / "tvm_mutate").iterdir()] == ["completion.json"]
    return folder


def answer(cache: Path, instruction: str, words: tuple[str, ...]) -> str:
    variables = {
        "_TVM_MUTATE_COMPLETE": instruction,
        "COMP_WORDS": " ".join(["tvm-mutate", *words]),
        "COMP_CWORD": words[-1] if instruction.startswith("fish") else str(len(words)),
        "XDG_CACHE_HOME": str(cache),
    }
    ended = subprocess.run(command(), env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return ended.stdout


def complete(cache: Path, *words: str) -> list[str]:
    """What bash offers for the last word, without the mark for files."""
    found = [line.partition(",") for line in answer(cache, "bash_complete", words).splitlines()]
    return [value for kind, _, value in found if kind == "plain"]


def test_commands_options_and_values_are_completed(cache: Path):
    assert complete(cache, "") == list(COMMANDS)
    assert complete(cache, "me") == ["merge"]
    assert complete(cache, "run", "zoo://alexnet", "--quiet", "--sam") == ["--sample"]
    assert complete(cache, "run", "zoo://alexnet", "--progress", "") == ["rich", "plain", "json", "none"]
    assert complete(cache, "run", "zoo://alexnet", "--oracle", "") == list(ORACLES)
    assert complete(cache, "report", "out", "--format", "html,") == [f"html,{name}" for name in FORMATS]
    swaps = [name for name in load_catalogue() if name.startswith("tir.swap-")]
    assert complete(cache, "list", "--operators", "default,!tir.swap-") == [f"default,!{name}" for name in swaps]
    assert complete(cache, "list", "zoo://a") == ["zoo://alexnet"]
    assert complete(cache, "show", "m", "real://") == [f"real://{name}" for name in REAL_MODELS]


def test_the_other_shells_get_the_same_words_with_their_help(cache: Path):
    assert answer(cache, "zsh_complete", ("diff",)) == f"plain\ndiff\n{COMMANDS['diff'][2]}\n"
    assert answer(cache, "fish_complete", ("list", "zoo://a")) == "file,zoo://a\nplain,zoo://alexnet\n"
    for shell in ("zsh", "fish"):
        assert "tvm-mutate" in answer(cache, f"{shell}_source", ("",))


def test_a_completion_takes_less_than_a_second_of_processor_time(cache: Path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    complete(cache, "run", "zoo://alexnet", "--operators", "graph.")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < CPU_SECONDS


def test_words_of_another_version_are_made_again(cache: Path, tmp_path: Path):
    kept = (cache / "tvm_mutate" / "completion.json").read_text()
    (tmp_path / "tvm_mutate").mkdir()
    (tmp_path / "tvm_mutate" / "completion.json").write_text(
        kept.replace('"--oracle"', '"--orakel"').replace("[", "[0, ", 1)
    )
    assert complete(tmp_path, "run", "--ora") == ["--oracle"]


def test_files_stay_with_the_shell_and_words_follow_commas_and_exclamation_marks():
    words = [["", "file"], ["tir.a", "plain"], ["tir.b", "plain"]]
    found = [(item.type, item.value) for item in matching(words, "x,!tir.b")]
    assert found == [("file", "x,!tir.b"), ("plain", "x,!tir.b")]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_itself_completes_a_word_with_a_colon(cache: Path, tmp_path: Path):
    assert get_completion_class("bash") is WholeWords
    program = tmp_path / "tvm-mutate"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tvm_mutate "$@"\n')
    program.chmod(0o755)
    script = (
        "source <(_TVM_MUTATE_COMPLETE=bash_source tvm-mutate); compopt() { :; }; COMP_WORDS=(tvm-mutate show m zoo://al);"
        'COMP_CWORD=3; _tvm_mutate_completion tvm-mutate; echo "${COMPREPLY[@]} ${COMP_WORDBREAKS//[^:]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "XDG_CACHE_HOME": str(cache)}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("zoo://alexnet \n", "")
