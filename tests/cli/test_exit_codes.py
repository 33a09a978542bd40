"""Exit codes and errors of all commands, texts of options, and the help."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.bench import bench
from tvm_mutate.cli.console import run_command
from tvm_mutate.cli.main import COMMANDS, cli
from tvm_mutate.cli.options import preprocessing_changes, shapes_of
from tvm_mutate.errors import TRACEBACK_VARIABLE, CampaignInterruptedError, ExitCode, UntrustedError, UsageError
from tvm_mutate.model import Preprocessing

from .conftest import INPUTS, Tool

NOTHING = dict.fromkeys(("resize", "crop", "scale", "layout", "channel_order", "mean", "std"))
OPTION_TEXTS = st.text() | st.from_regex(r"\A[a-z./:=]{0,6}=?-?\d{0,4}(,-?[\d.e]{1,4}){0,4},?\Z")


@given(OPTION_TEXTS)
def test_a_shape_is_positive_whole_numbers_for_a_name_or_is_refused(text: str):
    try:
        shapes = shapes_of({"shapes": (text,)})
    except UsageError as error:
        assert repr(text) in str(error)
        return
    ((name, shape),) = shapes.items()
    assert name and shape and all(isinstance(each, int) and each >= 1 for each in shape)
    assert text.startswith(f"{name}=")


@given(OPTION_TEXTS, st.sampled_from(["mean", "std"]))
def test_a_mean_or_std_is_three_finite_numbers_or_is_refused(text: str, key: str):
    try:
        changes = preprocessing_changes({**NOTHING, key: text})
        recipe = Preprocessing.from_mapping(changes)
    except UsageError:
        return
    values = getattr(recipe, key)
    assert len(values) == 3 and all(math.isfinite(each) for each in values)
    assert [float(each) for each in text.split(",")] == list(values)


def test_a_shape_given_twice_is_refused():
    with pytest.raises(UsageError, match="gives 'x' twice"):
        shapes_of({"shapes": ("x=1,2", "x=1,3")})


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("two\nlines"), 1, "error: two lines\n"),
        (UntrustedError("no"), 3, "error: no\n"),
        (CampaignInterruptedError("stopped"), 4, "error: stopped\n"),
        (KeyboardInterrupt(), 4, "error: interrupted\n"),
        (FileNotFoundError(2, "No such file", "a.txt"), 1, "error: No such file: a.txt\n"),
        (ZeroDivisionError("by zero"), 70, "error: internal error: ZeroDivisionError: by zero"),
    ],
)
def test_an_error_is_one_sentence_with_its_exit_code(
    capfd: pytest.CaptureFixture[str], error: BaseException, code: int, message: str
):
    @click.command()
    def fail() -> None:
        raise error

    assert run_command(fail, []) == code == ExitCode(code)
    out, err = capfd.readouterr()
    assert err.strip("\n").startswith(message.rstrip("\n")) and err.strip("\n").count("\n") == 0
    assert out == ""


LOGGING = """
import os, click
from tvm_mutate.cli.console import run_command

@click.command()
def log():
    os.write(2, b"Warning: of C++\\n")
    click.echo("ours", err=True)

run_command(log, [])
os.write(2, b"after it\\n")
"""


@pytest.mark.parametrize(
    ("traceback", "lines"), [("", ["ours", "after it"]), ("1", ["Warning: of C++", "ours", "after it"])]
)
def test_the_log_of_the_compiler_is_hidden_while_a_command_runs(traceback: str, lines: list[str]):
    environment = {**os.environ, TRACEBACK_VARIABLE: traceback}
    ended = subprocess.run([sys.executable, "-c", LOGGING], env=environment, capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines() == lines


def test_an_internal_error_shows_its_traceback_on_request(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    @click.command()
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setenv("TVM_MUTATE_TRACEBACK", "1")
    assert run_command(fail, []) == 70
    assert "test_exit_codes.py" in capfd.readouterr().err


def test_the_version_is_printed(tool: Tool):
    ended = tool("--version")
    assert (ended.code, ended.err) == (0, "")
    assert re.fullmatch(r"tvm-mutate, version \S+\n", ended.out)


def test_the_exit_codes_in_the_help_are_those_that_exist(tool: Tool):
    told = " ".join(tool("--help").out.split())
    listed = re.search(r"Exit codes: (.*?)\.", told)
    assert listed is not None
    assert [int(code) for code in re.findall(r"(?<!\S)(\d+) ", listed[1])] == [int(code) for code in ExitCode]


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (np.zeros, "the golden outputs hold one value only, on all inputs; give other inputs or a stricter --oracle"),
        (np.ones, "the golden outputs are the same for all inputs; give other inputs or a stricter --oracle"),
    ],
)
def test_inputs_on_which_the_sure_kill_survives_are_named(network: list[str], tool: Tool, inputs, reason: str):
    np.save(network[2], inputs((INPUTS, 3, 4, 4), "float32"))
    oracle = "top-1" if inputs is np.zeros else "tolerance{atol=1e6}"
    ended = tool(
        "run",
        *network,
        "--operators",
        "tir.scale-store",
        "--oracle",
        oracle,
        "--quiet",
        "--output",
        network[2] + ".out",
    )
    assert ended.code == 3
    assert "the sure kill canary of network on llvm came out survived, not killed" in ended.err
    assert reason in ended.err


def test_a_c_compiler_that_fails_is_named_with_the_variable_and_the_command_that_tries_it(
    network: list[str], tool: Tool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CC", "/bin/false")
    ended = tool(
        "run", *network, "--device", "c", "--operators", "tir.scale-store", "--quiet", "--output", network[2] + ".out"
    )
    assert ended.code == 3
    assert "(CompileError: /bin/false: it failed); $CC or the device names the compiler" in ended.err
    assert "tvm-mutate doctor --target c tries it" in ended.err


def test_the_help_imports_neither_tvm_nor_the_subcommands_and_names_them_all():
    code = (
        "import sys; from tvm_mutate.cli import main; sys.argv[1:] = ['--help']\ntry: main()\nexcept SystemExit: pass\n"
    )
    code += "print(sorted(each for each in sys.modules if each in ('tvm', 'numpy', 'tvm_mutate.cli.campaign')))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
    commands = [cli.get_command(click.Context(cli), name) for name in COMMANDS]
    assert [command and command.name for command in commands] == list(COMMANDS)
    assert all(f"  {name} " in ended.stdout for name in COMMANDS)


@pytest.mark.parametrize(
    "command",
    [*(cli.get_command(click.Context(cli), name) for name in COMMANDS), bench],
    ids=lambda each: str(each.name),
)
def test_every_option_has_help_and_every_command_is_described(command: click.Command):
    assert command.help and command.help.splitlines()[0].endswith((".", ":"))
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help and option.help.endswith("."), option.name
            assert not option.help.startswith("With") or "--" in option.help
