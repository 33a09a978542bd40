"""The man pages: one for each command, with every option, and no fault that ``man`` warns of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tvm_mutate.cli.main import COMMANDS, cli

SCRIPT = Path(__file__).parents[2] / "docs" / "man_pages.py"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "man1"
    subprocess.run([sys.executable, str(SCRIPT), str(folder)], check=True)
    return folder


def test_each_command_has_a_page_with_all_its_options(pages: Path):
    assert {path.name for path in pages.iterdir()} == {"tvm-mutate.1", *(f"tvm-mutate-{name}.1" for name in COMMANDS)}
    whole = (pages / "tvm-mutate.1").read_text()
    for name, (_, _, summary) in COMMANDS.items():
        assert f"\\fB{name}\\fP\n  {summary}\n" in whole
        text = (pages / f"tvm-mutate-{name}.1").read_text()
        command = cli.get_command(click.Context(cli), name)
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.opts[0].replace("-", "\\-") in text


@pytest.mark.skipif(shutil.which("man") is None, reason="no man")
def test_man_shows_the_pages_without_a_warning(pages: Path):
    for page in pages.iterdir():
        shown = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True, check=True)
        assert "NAME" in shown.stdout and shown.stderr == "", page
