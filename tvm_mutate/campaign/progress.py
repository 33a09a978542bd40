"""Progress of long work: live lines on a terminal, plain lines, JSON lines for programs, or nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import IO, Any, ClassVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BAR_WIDTH = 12
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

    @property
    def seconds(self) -> float:
        """The time since the phase began."""
        return time.monotonic() - self.started

    @property
    def seconds_left(self) -> float | None:
        """An estimate of the time until the phase ends; None before the first step."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None

    def text(self) -> str:
        """Steps done of total, time left, steps per second, time taken: it fits beside a bar in 80 columns."""
        text, seconds, left = f"{self.done}/{self.total}", self.seconds, self.seconds_left
        if left is None:
            return text
        return f"{text}, about {left:.0f} s left, {self.done / max(seconds, 1e-3):.1f}/s, {seconds:.0f} s"


class PlainReporter(Reporter):
    """Writes a line to a stream when a phase begins or ends, and every ten seconds in between."""

    interval: ClassVar[float] = 10.0

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._phase = Phase("", 0)
        self._written_at = 0.0

    def phase(self, name: str, total: int) -> None:
        """Writes the name and size of the phase."""
        self._phase = Phase(name, total)
        self._written_at = self._phase.started
        self._write("start")

    def step(self, result: str) -> None:
        """Writes the figures of the phase, at its end or if the last line is old enough."""
        self._phase.step(result)
        now, over = time.monotonic(), self._phase.done == self._phase.total
        if over or now - self._written_at >= self.interval:
            self._written_at = now
            self._write("end" if over else "step")

    def note(self, text: str) -> None:
        """Writes the line."""
        print(text, file=self._stream, flush=True)

    def _write(self, event: str) -> None:
        phase = self._phase
        figures = f"{phase.total} to do" if event == "start" else phase.text() + counted(phase.counts)
        self.note(f"{phase.name}: {figures}")


class JsonReporter(PlainReporter):
    """Writes a JSON object a line: for the start and the end of a phase, for notes, and for steps once a second.

    The keys are ``event`` (``start``, ``step``, ``end`` or ``note``) and for a note ``text``, otherwise ``phase``,
    ``done``, ``total``, ``seconds``, ``seconds_left`` (an estimate, or null) and ``counts`` of the results.
    """

    interval: ClassVar[float] = 1.0

    def note(self, text: str) -> None:
        """Writes the note as an object."""
        self._print(event="note", text=text)

    def _write(self, event: str) -> None:
        phase = self._phase
        left = None if phase.seconds_left is None else round(phase.seconds_left, 3)
        figures = {"done": phase.done, "total": phase.total, "seconds": round(phase.seconds, 3), "seconds_left": left}
        counts = {word: number for word, number in sorted(phase.counts.items()) if word}
        self._print(event=event, phase=phase.name, **figures, counts=counts)

    def _print(self, **content: Any) -> None:
        print(json.dumps(content), file=self._stream, flush=True)


class LiveReporter(Reporter):
    """Live lines on a terminal: the figures of the phase, the counts of its results, and the work of each worker."""

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
        """Shows the work of a worker in the last line."""
        self._at = {**self._at, worker: at}  # a new dict, because another thread may read the old one

    def note(self, text: str) -> None:
        """Writes the line above the live lines."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Stops the display; the figures and counts stay."""
        self._at = {}
        self._live.stop()

    def _lines(self) -> RenderableType:
        phase = self._phase
        first = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(phase.total, 1), completed=phase.done, width=_BAR_WIDTH)
        first.add_row(Text(phase.name), bar, Text(phase.text(), no_wrap=True, overflow="ellipsis"))
        lines: list[RenderableType] = [first]
        if counts := counted(phase.counts).removeprefix(", "):
            lines.append(Text(counts, no_wrap=True, overflow="ellipsis"))
        if self._at:
            width = max(self._console.width // len(self._at) - 2, 12)
            workers = (shortened(f"{worker + 1}: {at or 'idle'}", width) for worker, at in sorted(self._at.items()))
            lines.append(Text("  ".join(workers), no_wrap=True, overflow="ellipsis", style="dim"))
        return Group(*lines)


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


def make_reporter(progress: str | None, console: Console) -> Reporter:
    """The reporter of this kind of :data:`PROGRESS`; for None that which suits the console."""
    return PROGRESS[progress or ("rich" if console.is_terminal else "plain")](console)


PROGRESS: Mapping[str, Callable[[Console], Reporter]] = MappingProxyType(
    {
        "rich": LiveReporter,
        "plain": lambda console: PlainReporter(console.file),
        "json": lambda console: JsonReporter(console.file),
        "none": lambda _: Reporter(),
    }
)
