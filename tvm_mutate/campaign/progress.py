"""Progress of long work: live lines on a terminal, plain lines elsewhere, nothing with ``--quiet``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_PLAIN_INTERVAL = 10.0
_BAR_WIDTH = 20
_REFRESHES = 4  # a second
_WORDS = ("killed", "survived", "equivalent", "crashed")


class Reporter:
    """Hears about the progress of a campaign; this class is silent."""

    def phase(self, name: str, total: int) -> None:
        """A phase of ``total`` steps begins."""

    def step(self, result: str) -> None:
        """One step ended; ``result`` is a word to count, such as a verdict, or empty."""

    def working(self, worker: int, at: str) -> None:
        """The worker with this number works on ``at``, or is idle if empty; called from a thread of the pool."""

    def note(self, text: str) -> None:
        """A message for the user."""

    def close(self) -> None:
        """The campaign is over."""


class Phase:
    """The steps of a phase that are done, the counts of their results, and the time."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done = name, total, 0
        self.counts: Counter[str] = Counter()
        self.started = time.monotonic()

    def step(self, result: str) -> None:
        """Counts one step."""
        self.done += 1
        self.counts[result] += 1

    def text(self) -> str:
        """Steps done of total, counts of results, steps per second, time taken and time left."""
        elapsed = time.monotonic() - self.started
        text = f"{self.done}/{self.total}{counted(self.counts)}"
        if self.done:
            left = elapsed / self.done * (self.total - self.done)
            text += f", {self.done / max(elapsed, 1e-3):.1f}/s, {elapsed:.0f} s, about {left:.0f} s left"
        return text


class PlainReporter(Reporter):
    """Writes a line to a stream when a phase begins or ends, and every ten seconds in between."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._phase = Phase("", 0)
        self._written_at = 0.0

    def phase(self, name: str, total: int) -> None:
        """Writes the name and size of the phase."""
        self._phase = Phase(name, total)
        self._written_at = self._phase.started
        self.note(f"{name}: {total} to do")

    def step(self, result: str) -> None:
        """Writes the figures of the phase, at most every ten seconds and at its end."""
        self._phase.step(result)
        now = time.monotonic()
        if self._phase.done == self._phase.total or now - self._written_at >= _PLAIN_INTERVAL:
            self._written_at = now
            self.note(f"{self._phase.name}: {self._phase.text()}")

    def note(self, text: str) -> None:
        """Writes the line."""
        print(text, file=self._stream, flush=True)


class LiveReporter(Reporter):
    """Two live lines on a terminal: the figures of the phase, and the work of each worker."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._phase = Phase("", 0)
        self._at: dict[int, str] = {}
        self._live = Live(console=console, get_renderable=self._lines, refresh_per_second=_REFRESHES)

    def phase(self, name: str, total: int) -> None:
        """Shows this phase from now on; the first phase starts the display."""
        self._phase = Phase(name, total)
        self._live.start()

    def step(self, result: str) -> None:
        """Moves the bar."""
        self._phase.step(result)

    def working(self, worker: int, at: str) -> None:
        """Shows the work of a worker in the second line."""
        self._at = {**self._at, worker: at}  # a new dict, because another thread may read the old one

    def note(self, text: str) -> None:
        """Writes the line above the live lines."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Stops the display; the first line stays."""
        self._at = {}
        self._live.stop()

    def _lines(self) -> RenderableType:
        phase = self._phase
        first = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(phase.total, 1), completed=phase.done, width=_BAR_WIDTH)
        first.add_row(Text(phase.name), bar, Text(phase.text(), no_wrap=True, overflow="ellipsis"))
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
    """The text, or its beginning and its end, which are the most telling parts of a mutant's id."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def make_reporter(quiet: bool, console: Console) -> Reporter:
    """The reporter that suits the console."""
    if quiet:
        return Reporter()
    return LiveReporter(console) if console.is_terminal else PlainReporter(console.file)
