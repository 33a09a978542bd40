"""Progress of long work: a live line on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import IO, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

_PLAIN_INTERVAL = 10.0


class Reporter(Protocol):
    """Is told what a campaign does."""

    def phase(self, name: str, total: int) -> None:
        """A phase of ``total`` steps begins."""

    def step(self, result: str) -> None:
        """One step ended; ``result`` is a word to count, such as a verdict, or empty."""

    def close(self) -> None:
        """The campaign is over."""


class QuietReporter:
    """Says nothing."""

    def phase(self, name: str, total: int) -> None:
        """Does nothing."""

    def step(self, result: str) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""


class PlainReporter:
    """Writes a line when a phase begins or ends, and every ten seconds between, to a stream that is no terminal."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._name, self._total, self._done = "", 0, 0
        self._counts: Counter[str] = Counter()
        self._started = self._said = 0.0

    def phase(self, name: str, total: int) -> None:
        """Writes the name and size of the phase."""
        self._name, self._total, self._done = name, total, 0
        self._counts.clear()
        self._started = self._said = time.monotonic()
        print(f"{name}: {total} to do", file=self._stream, flush=True)

    def step(self, result: str) -> None:
        """Writes how far the phase is, at most every ten seconds, and when it is over."""
        self._done += 1
        self._counts[result] += 1
        now = time.monotonic()
        if self._done == self._total or now - self._said >= _PLAIN_INTERVAL:
            self._said = now
            elapsed = now - self._started
            left = elapsed / self._done * (self._total - self._done)
            print(
                f"{self._name}: {self._done}/{self._total}{counted(self._counts)}, "
                f"{elapsed:.0f} s, about {left:.0f} s left",
                file=self._stream,
                flush=True,
            )

    def close(self) -> None:
        """Does nothing."""


class LiveReporter:
    """A live progress bar on a terminal, with the counts of results and the time that is left."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[counts]}"),
            console=console,
        )
        self._counts: Counter[str] = Counter()
        self._task = None

    def phase(self, name: str, total: int) -> None:
        """Starts a bar of its own; the display begins with the first."""
        self._progress.start()
        self._counts.clear()
        self._task = self._progress.add_task(name, total=total, counts="")  # type: ignore[assignment]

    def step(self, result: str) -> None:
        """Moves the bar on."""
        self._counts[result] += 1
        if self._task is not None:
            self._progress.update(self._task, advance=1, counts=counted(self._counts).lstrip(" ,"))

    def close(self) -> None:
        """Leaves the bars as they are."""
        self._progress.stop()


def counted(counts: Counter[str]) -> str:
    """Counts as text, such as ``, 12 killed, 3 survived``."""
    return "".join(f", {number} {word}" for word, number in sorted(counts.items()) if word)


def make_reporter(quiet: bool, console: Console) -> Reporter:
    """The reporter that fits the console."""
    if quiet:
        return QuietReporter()
    return LiveReporter(console) if console.is_terminal else PlainReporter(console.file)
