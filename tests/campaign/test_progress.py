"""Progress: plain lines, live lines, JSON lines, and nothing."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from tvm_mutate.campaign import Reporter
from tvm_mutate.campaign.progress import JsonReporter, LiveReporter, PlainReporter, make_reporter, shortened


def terminal(width: int = 120) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=True, width=width, color_system=None), stream


def drawn(reporter: LiveReporter) -> list[str]:
    console, stream = terminal()
    console.print(reporter._lines())
    return stream.getvalue().splitlines()


def steps(reporter) -> None:
    reporter.phase("mutants", 4)
    reporter.working(1, "resnet c tir.swap-compare{from=lt,to=le}@fused_conv2d_add_relu#3")
    reporter.working(0, "alexnet llvm tir.store-through@fused_conv2d_add_relu#13")
    for result in ("survived", "killed", "killed", "crashed"):
        reporter.step(result)


def test_plain_lines_have_the_counts_and_the_mutants_per_second():
    stream = io.StringIO()
    steps(PlainReporter(stream))
    first, last = stream.getvalue().splitlines()
    assert first == "mutants: 4 to do"
    assert re.fullmatch(r"mutants: 4/4, about 0 s left, [\d.]+/s, \d+ s, 2 killed, 1 survived, 1 crashed", last), last


def test_json_has_an_object_a_line_for_the_start_the_end_and_steps_at_times():
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    steps(reporter)
    reporter.note('a "note"')
    start, end, note = map(json.loads, stream.getvalue().splitlines())
    assert note == {"event": "note", "text": 'a "note"'}
    assert start.pop("seconds") >= 0 and end.pop("seconds") >= 0
    counts = {"killed": 2, "survived": 1, "crashed": 1}
    figures = {"phase": "mutants", "total": 4}
    assert start == {"event": "start", **figures, "done": 0, "seconds_left": None, "counts": {}}
    assert end == {"event": "end", **figures, "done": 4, "seconds_left": 0, "counts": counts}


def test_json_estimates_the_time_left_from_the_steps_that_are_done():
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    reporter.phase("mutants", 4)
    reporter._phase.started -= 30  # half a minute ago
    reporter._written_at -= 30
    reporter.step("")
    reporter.step("killed")  # within a second of the last line
    *_, step = map(json.loads, stream.getvalue().splitlines())
    assert (step["event"], step["done"], step["counts"]) == ("step", 1, {})
    assert step["seconds"] == pytest.approx(30, abs=5) and step["seconds_left"] == pytest.approx(90, abs=15)


def test_a_terminal_has_lines_for_the_figures_the_counts_and_the_workers():
    reporter = LiveReporter(terminal()[0])
    steps(reporter)
    first, second, third = drawn(reporter)
    assert re.search(r"mutants ━+ 4/4, about 0 s left, [\d.]+/s, \d+ s", first)
    assert second.rstrip() == "2 killed, 1 survived, 1 crashed"
    assert third.startswith("1: alexnet llvm tir.") and "2: resnet c tir." in third
    assert third.rstrip().endswith("add_relu#3") and "…" in third
    reporter.working(1, "")
    assert drawn(reporter)[2].rstrip().endswith("2: idle")
    reporter.close()


def test_live_lines_stay_three_lines_on_a_narrow_terminal():
    console, _ = terminal(width=40)
    reporter = LiveReporter(console)
    steps(reporter)
    assert len(console.render_lines(reporter._lines())) == 3
    reporter.close()


def test_80_columns_are_enough_for_large_numbers():
    console, stream = terminal(width=80)
    reporter = LiveReporter(console)
    reporter.phase("places of mutants", 20_000)
    reporter._phase.done = 9_999
    reporter._phase.started -= 9_999
    reporter._phase.counts.update(killed=7_000, survived=2_000, equivalent=888, crashed=100, exception=11)
    console.print(reporter._lines())
    assert "…" not in stream.getvalue()
    assert re.search(r"about 1000\d s left, 1.0/s, 9999 s", stream.getvalue()) and "11 exception" in stream.getvalue()
    reporter.close()


def test_a_note_is_a_line_and_is_not_read_as_markup():
    console, stream = terminal()
    reporter = LiveReporter(console)
    reporter.note("3 rows [a] are carried over")
    assert stream.getvalue() == "3 rows [a] are carried over\n"


@pytest.mark.parametrize(
    ("progress", "console", "kind"),
    [
        (None, terminal()[0], LiveReporter),
        (None, Console(file=io.StringIO()), PlainReporter),
        ("json", terminal()[0], JsonReporter),
        ("plain", terminal()[0], PlainReporter),
    ],
)
def test_the_kind_is_that_of_the_console_if_none_is_named(progress: str | None, console: Console, kind: type):
    assert type(make_reporter(progress, console)) is kind


def test_none_writes_nothing_on_any_console():
    console, stream = terminal()
    reporter = make_reporter("none", console)
    assert isinstance(reporter, Reporter)
    steps(reporter)
    reporter.note("note")
    reporter.close()
    assert stream.getvalue() == ""


def test_a_long_text_keeps_its_beginning_and_its_end():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcde…hijk"
    assert all(len(shortened("x" * 99, width)) == width for width in range(3, 50))
