"""Progress of long work: live lines on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import IO, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_PLAIN_INTERVAL = 10.0
_BAR_WIDTH = 20
_REFRESHES = 4  # a second
_WORDS = ("killed", "survived", "equivalent", "crashed")


class Reporter(Protocol):
    """Is told what a campaign does."""

    def phase(self, name: str, total: int) -> None:
        """A phase of ``total`` steps begins."""

    def step(self, result: str) -> None:
        """One step ended; ``result`` is a word to count, such as a verdict, or empty."""

    def working(self, worker: int, at: str) -> None:
        """A worker, by number, is ``at`` something now, or at nothing; told by another thread than the rest."""

    def note(self, text: str) -> None:
        """Something that is worth a line."""

    def close(self) -> None:
        """The campaign is over."""


class QuietReporter:
    """Says nothing."""

    def phase(self, name: str, total: int) -> None:
        """Does nothing."""

    def step(self, result: str) -> None:
        """Does nothing."""

    def working(self, worker: int, at: str) -> None:
        """Does nothing."""

    def note(self, text: str) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class Phase:
    """How far a phase is: steps done, results counted, time."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done = name, total, 0
        self.counts: Counter[str] = Counter()
        self.started = time.monotonic()

    def step(self, result: str) -> None:
        """Counts one step."""
        self.done += 1
        self.counts[result] += 1

    def told(self) -> str:
        """The figures as text: done of total, results, mutants per second, time taken and time left."""
        elapsed = time.monotonic() - self.started
        told = f"{self.done}/{self.total}{counted(self.counts)}"
        if self.done:
            left = elapsed / self.done * (self.total - self.done)
            told += f", {self.done / max(elapsed, 1e-3):.1f}/s, {elapsed:.0f} s, about {left:.0f} s left"
        return told


class PlainReporter:
    """Writes a line when a phase begins or ends, and every ten seconds between, to a stream that is no terminal."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._phase = Phase("", 0)
        self._said = 0.0

    def phase(self, name: str, total: int) -> None:
        """Writes the name and size of the phase."""
        self._phase = Phase(name, total)
        self._said = self._phase.started
        self.note(f"{name}: {total} to do")

    def step(self, result: str) -> None:
        """Writes how far the phase is, at most every ten seconds, and when it is over."""
        self._phase.step(result)
        now = time.monotonic()
        if self._phase.done == self._phase.total or now - self._said >= _PLAIN_INTERVAL:
            self._said = now
            self.note(f"{self._phase.name}: {self._phase.told()}")

    def working(self, worker: int, at: str) -> None:
        """Does nothing: that would be a line a mutant."""

    def note(self, text: str) -> None:
        """Writes the line."""
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Does nothing."""


class LiveReporter:
    """Two live lines on a terminal: how far the campaign is, and what each worker is at."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase = Phase("", 0)
        self._at: dict[int, str] = {}
        self._live = Live(console=console, get_renderable=self._lines, refresh_per_second=_REFRESHES)

    def phase(self, name: str, total: int) -> None:
        """The lines are about this phase from now on; the display begins with the first."""
        self._phase = Phase(name, total)
        self._live.start()

    def step(self, result: str) -> None:
        """Moves the bar on."""
        self._phase.step(result)

    def working(self, worker: int, at: str) -> None:
        """Shows it in the second line."""
        self._at = {**self._at, worker: at}  # a new one: another thread may be drawing the old one

    def note(self, text: str) -> None:
        """Writes the line above the live ones."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Leaves the first line as it is."""
        self._at = {}
        self._live.stop()

    def _lines(self) -> RenderableType:
        phase = self._phase
        first = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(phase.total, 1), completed=phase.done, width=_BAR_WIDTH)
        first.add_row(Text(phase.name), bar, Text(phase.told(), no_wrap=True, overflow="ellipsis"))
        if not self._at:
            return first
        width = max(self._console.width // len(self._at) - 2, 12)
        shown = "  ".join(shortened(f"{worker + 1}: {at or 'idle'}", width) for worker, at in sorted(self._at.items()))
        return Group(first, Text(shown, no_wrap=True, overflow="ellipsis", style="dim"))


def counted(counts: Counter[str]) -> str:
    """Counts as text, such as ``, 12 killed, 3 survived``."""
    words = [*_WORDS, *sorted(word for word in counts if word and word not in _WORDS)]
    return "".join(f", {counts[word]} {word}" for word in words if counts[word])


def shortened(text: str, width: int) -> str:
    """The text, or its beginning and its end: a mutant's id tells most there."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def make_reporter(quiet: bool, console: Console) -> Reporter:
    """The reporter that fits the console."""
    if quiet:
        return QuietReporter()
    return LiveReporter(console) if console.is_terminal else PlainReporter(console.file)
