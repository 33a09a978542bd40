"""Progress: plain lines, two live lines, and nothing."""

from __future__ import annotations

import io
import re

from rich.console import Console

from tvm_mutate.campaign import Reporter
from tvm_mutate.campaign.progress import LiveReporter, PlainReporter, make_reporter, shortened


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
    assert re.fullmatch(r"mutants: 4/4, 2 killed, 1 survived, 1 crashed, [\d.]+/s, \d+ s, about 0 s left", last), last


def test_a_terminal_has_a_line_for_the_campaign_and_a_line_for_the_workers():
    reporter = LiveReporter(terminal()[0])
    steps(reporter)
    first, second = drawn(reporter)
    assert re.search(r"mutants ━+ 4/4, 2 killed, 1 survived, 1 crashed, [\d.]+/s, \d+ s, about 0 s left", first)
    assert second.startswith("1: alexnet llvm tir.") and "2: resnet c tir." in second
    assert second.rstrip().endswith("add_relu#3") and "…" in second
    reporter.working(1, "")
    assert drawn(reporter)[1].rstrip().endswith("2: idle")
    reporter.close()


def test_live_lines_stay_two_lines_on_a_narrow_terminal():
    console, _ = terminal(width=40)
    reporter = LiveReporter(console)
    steps(reporter)
    assert len(console.render_lines(reporter._lines())) == 2
    reporter.close()


def test_a_note_is_a_line_and_is_not_read_as_markup():
    console, stream = terminal()
    reporter = LiveReporter(console)
    reporter.note("3 rows [a] are carried over")
    assert stream.getvalue() == "3 rows [a] are carried over\n"


def test_quiet_writes_nothing_on_any_console():
    console, stream = terminal()
    reporter = make_reporter(True, console)
    assert isinstance(reporter, Reporter)
    steps(reporter)
    reporter.note("note")
    reporter.close()
    assert stream.getvalue() == ""


def test_a_long_text_keeps_its_beginning_and_its_end():
    assert shortened("abcdefghij", 10) == "abcdefghij"
    assert shortened("abcdefghijk", 10) == "abcde…hijk"
    assert all(len(shortened("x" * 99, width)) == width for width in range(3, 50))
