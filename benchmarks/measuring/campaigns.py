"""Campaigns run through the command line, in processes of their own, with the times of their phases."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .phases import Phases

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = "mutants"
_KEPT_LINES = 20

Process = subprocess.Popen[str]


@dataclass(frozen=True)
class Subject:
    """A model and its images, as a user names them: ``MODEL`` or ``MODEL=IMAGES``."""

    model: str
    images: str = ""

    @classmethod
    def parse(cls, text: str) -> Subject:
        """The subject named by a command-line argument."""
        model, _, images = text.partition("=")
        return cls(model, images)

    @property
    def name(self) -> str:
        """A short name, good for a folder."""
        return re.sub(r"[^\w.-]+", "-", Path(self.model).stem)

    def arguments(self, inputs: int) -> list[str]:
        """The arguments of ``run`` for this subject with so many inputs."""
        return [self.model, *(["--inputs", self.images] if self.images else []), "--limit", str(inputs)]


@dataclass(frozen=True)
class Finished:
    """A finished campaign: the content of its results.json, the seconds of its phases, and of the whole command."""

    results: Mapping[str, Any]
    phases: Mapping[str, float]
    seconds: float

    @property
    def mutants_seconds(self) -> float:
        """The time of the mutants alone, without survey, baselines and canaries."""
        return self.phases[MUTANTS]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the mutants."""
        return list(self.results["mutants"])


def command(*arguments: str) -> list[str]:
    """The command line of the tool, which need not be installed."""
    return [sys.executable, "-m", "tvm_mutate", *arguments]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process, in which others find the package."""
    paths = [(more or {}).get("PYTHONPATH"), str(ROOT), os.environ.get("PYTHONPATH")]
    return {**os.environ, **(more or {}), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def start(arguments: Sequence[str], more: Mapping[str, str] | None = None) -> Process:
    """A campaign that has just been started, in a session and process group of its own."""
    return subprocess.Popen(
        command("run", *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(more),
    )


def run_campaign(
    arguments: Sequence[str],
    output: Path,
    *,
    more: Mapping[str, str] | None = None,
    resume: bool = False,
    started: Callable[[Process], None] = lambda process: None,
) -> Finished:
    """The campaign that ``run`` makes of these arguments, when it has finished.

    ``more`` is added to its environment; ``started`` is called with its process. Unless it may ``resume``, an output
    that is there already is refused: the times of a resumed campaign mean nothing.
    """
    if output.exists() and not resume:
        raise click.ClickException(f"{output} is there already; a measured campaign has to be a new one")
    click.echo(f"running {output.name}", err=True)
    began = time.monotonic()
    process = start([*arguments, "--output", str(output)], more)
    try:
        started(process)
        phases = follow(process)
    except BaseException:
        process.terminate()
        raise
    return Finished(read_results(output), phases.seconds, time.monotonic() - began)


def follow(process: Process) -> Phases:
    """The phases of a campaign, followed to its end; raises click's error where it failed."""
    phases, kept = Phases(), deque[str](maxlen=_KEPT_LINES)
    assert process.stderr is not None
    for line in process.stderr:
        phases.read(line)
        kept.append(line)
    if process.wait():
        raise click.ClickException(f"the campaign ended with exit code {process.returncode}:\n{''.join(kept)}")
    return phases


def read_results(folder: Path) -> dict[str, Any]:
    """The content of the results.json in an output folder."""
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return results


def list_mutants(model: str, *arguments: str, more: Mapping[str, str] | None = None) -> list[str]:
    """The ids that ``list`` gives for a model."""
    asked = command("list", model, "--json", *arguments)
    finished = subprocess.run(asked, capture_output=True, text=True, check=False, env=environment(more))
    if finished.returncode:
        raise click.ClickException(finished.stderr)
    return list(json.loads(finished.stdout)["mutants"])


def chosen(mutants: Iterable[str]) -> list[str]:
    """The arguments of ``run`` that name these mutants."""
    return [argument for mutant in mutants for argument in ("--mutant", mutant)]


@contextlib.contextmanager
def workplace(keep: str | None) -> Iterator[Path]:
    """The folder for the outputs of campaigns: the one to keep, or one that goes when all is done."""
    if keep:
        Path(keep).mkdir(parents=True, exist_ok=True)
        yield Path(keep)
    else:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            yield Path(folder)
