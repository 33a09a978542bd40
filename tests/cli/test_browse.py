"""``tvm-mutate browse``, driven by Textual's own pilot: no terminal is needed."""

from __future__ import annotations

import asyncio
import builtins
import os
import pty
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.widgets import DataTable, Static

from tests.report.results_by_hand import (
    CAST,
    DROP,
    NEGATE,
    completed,
    make,
    results_of_one_device,
    results_of_the_decoder,
    results_of_three_devices,
)
from tvm_mutate.cli.browse import Browser
from tvm_mutate.results import read_accepted, write_json

from .conftest import Tool, assert_refused, command

REASON = "one ulp"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accepted.toml"


def drive(browser: Browser, steps: Callable[[Any], Awaitable[None]]) -> None:
    """Runs the application without a terminal, as wide as a common one, while ``steps`` press keys."""

    async def session() -> None:
        async with browser.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await steps(pilot)

    asyncio.run(session())


def rows(browser: Browser) -> list[list[str]]:
    """The cells of the table, of each row from the left."""
    table = browser.screen_stack[0].query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(number)] for number in range(table.row_count)]


def test_text_and_verdict_filter_the_rows(file: Path):
    browser = Browser(results_of_three_devices(), file)

    async def steps(pilot) -> None:
        assert len(rows(browser)) == 12
        await pilot.press("slash", *"T16 re", "enter")
        assert {(row[4], row[2]) for row in rows(browser)} == {(CAST, "llvm"), (CAST, "v3"), (CAST, "c")}
        found = []
        for _ in range(5):
            await pilot.press("v")
            found.append(sorted(row[0] for row in rows(browser)))
        assert found == [["compile error"], [], [], [], ["survived", "survived"]]
        await pilot.press("v", "slash", *["backspace"] * 6)
        assert len(rows(browser)) == 12

    drive(browser, steps)


def test_columns_sort_and_the_second_time_backwards(file: Path):
    browser = Browser(results_of_three_devices(), file)

    async def steps(pilot) -> None:
        assert rows(browser)[0][:2] == ["killed", "label changed"]  # the largest effect
        await pilot.press("3")
        assert [row[2] for row in rows(browser)] == ["c"] * 4 + ["llvm"] * 4 + ["v3"] * 4
        await pilot.press("3")
        assert [row[2] for row in rows(browser)] == ["v3"] * 4 + ["llvm"] * 4 + ["c"] * 4
        await pilot.press("2")
        rungs = [row[1] for row in rows(browser)]
        assert (rungs[0], rungs[-1]) == ("applied", "label changed")  # in the order of rungs, not of letters
        await pilot.click(DataTable, offset=(2, 0))
        verdicts = [row[0] for row in rows(browser)]
        assert verdicts == sorted(verdicts) != sorted(verdicts, reverse=True)

    drive(browser, steps)


def test_a_survivor_is_accepted_with_a_reason_into_the_file(file: Path):
    results = make(("llvm",), [completed(CAST, "llvm", [0, 1, 2, 3]), completed(DROP, "llvm", [0] * 4)], [])
    browser = Browser(results, file)

    async def steps(pilot) -> None:
        assert [row[0] for row in rows(browser)] == ["killed", "survived"]
        await pilot.press("a", *"x", "enter")
        assert not file.exists()  # refused: no survivor
        await pilot.press("down", "a", "enter")
        await pilot.press("a", *"x", "escape")
        assert not file.exists()  # no reason, and given up
        await pilot.press("a", *REASON, "enter")
        assert [(row[0], row[4]) for row in rows(browser)] == [("killed", DROP), ("accepted", CAST)]

    drive(browser, steps)
    (entry,) = read_accepted(file)
    assert (entry.id, entry.model, entry.reason) == (CAST, "resnet", REASON)
    again = Browser(results, file)

    async def later_steps(pilot) -> None:
        await pilot.press("v")
        assert [row[0] for row in rows(again)] == ["accepted"]

    drive(again, later_steps)


def text_of(browser: Browser) -> str:
    return str(getattr(browser.screen.query_one("#difference", Static).content, "code", ""))


@pytest.mark.parametrize(
    ("results", "parts"),
    [
        (results_of_the_decoder, ("--- unmutated/graph/decode\n", "\n+        matmul16: ")),
        (results_of_one_device, ("The text of this function is missing", "resnet")),
    ],
    ids=["a model that is there", "a model that is gone"],
)
def test_enter_opens_the_difference_or_says_why_there_is_none(results, parts: tuple[str, ...], file: Path):
    browser = Browser(results(), file)

    async def steps(pilot) -> None:
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert all(part in text_of(browser) for part in parts), text_of(browser)
        assert "tvm-mutate show" in str(browser.screen.query_one("#about", Static).content)
        await pilot.press("slash", "v", "a", "1")  # keys of the table
        assert len(browser.screen_stack) == 2
        await pilot.press("escape")
        assert len(browser.screen_stack) == 1

    drive(browser, steps)


def test_ids_are_not_read_as_markup(file: Path):
    odd = replace(completed(NEGATE, "llvm", [0, 1, 2, 9]), id="tir.swap-compare@[red]f[/]#0", reason="[/b]")
    browser = Browser(make(("llvm",), [odd], []), file)

    async def steps(pilot) -> None:
        assert rows(browser)[0][4] == odd.id
        await pilot.press("a", *"[/i]", "enter", "enter")
        assert odd.id in str(browser.screen.query_one("#about", Static).content)

    drive(browser, steps)


def test_the_application_draws_on_a_real_terminal(tmp_path: Path):
    """Textual draws through ``sys.__stderr__``, whose descriptor the command line keeps for the compiler's log."""
    folder = write_json(results_of_three_devices(), tmp_path).parent
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        command("browse", folder), stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    drawn = b""
    while b"12 of 12 mutants" not in drawn:
        drawn += os.read(ours, 65536)
    os.write(ours, b"q")
    try:
        while os.read(ours, 65536):
            pass
    except OSError:  # Linux: the other end is closed
        pass
    assert child.wait(30) == 0
    os.close(ours)


def test_faults_are_one_sentence(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert_refused(tool("browse", tmp_path / "nowhere"), "nowhere", "cannot be read", "results.json")
    folder = write_json(results_of_one_device(), tmp_path).parent
    assert_refused(tool("browse", folder), "needs a terminal", "--format html")
    load = builtins.__import__

    def without_textual(name: str, *rest: Any) -> Any:
        if name == "tvm_mutate.cli.browse":
            raise ModuleNotFoundError("No module named 'textual'", name="textual")
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_textual)
    assert_refused(tool("browse", folder), "pip install 'tvm-mutate[browse]'")
