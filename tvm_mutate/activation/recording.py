"""Records what the processes of a command build, in a folder that all of them write to."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm

from tvm_mutate.activation.catching import Build, caught_builds, caught_relax_pipelines
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Applied

_LINES = "lines.jsonl"
_MODULES = "modules"


class BuildLog:
    """Writes the builds of a process, and the mutations applied in it, to a folder.

    Each line is written at once, so the log of a process that crashes is complete. Raises UsageError if the folder
    cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            (folder / _MODULES).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write to the folder {folder} ({error.strerror})") from None

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Records the builds and the Relax pipelines of the process while the context lasts."""
        with caught_builds(self._build), caught_relax_pipelines(self._graph):
            yield

    def applied(self, applied: Sequence[Applied]) -> None:
        """Records that mutations were applied."""
        self._write({"applied": [str(each.mutation) for each in applied]})

    def _graph(self, module: tvm.IRModule) -> tvm.IRModule:
        self._write({"slot": str(Slot.GRAPH)})  # without the module, which may be large
        return module

    def _build(self, slot: Slot, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        content = tvm.ir.save_json(module)
        name = hashlib.sha256(content.encode()).hexdigest()
        path = self._folder / _MODULES / f"{name}.json"
        if not path.exists():
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_text(content)
            temporary.replace(path)
        numbers = {"process": os.getpid(), "build": build.number}
        self._write({"slot": str(slot), **numbers, "digests": build.digests, "at": name})
        return module

    def _write(self, line: Mapping[str, Any]) -> None:
        descriptor = os.open(self._folder / _LINES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())  # one call: other processes append, too
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class LoggedModule:
    """A module in a slot of a build, with the digests of the kernels of the build by function name."""

    slot: Slot
    digests: Mapping[str, str]
    path: Path

    def module(self) -> tvm.IRModule:
        """The module."""
        return tvm.ir.load_json(self.path.read_text())


@dataclass(frozen=True)
class LoggedBuilds:
    """What a command built: the different modules, the number of builds and Relax pipelines, and if a mutant acted."""

    modules: tuple[LoggedModule, ...]
    builds: int
    relax_pipelines: int
    applied: bool

    @classmethod
    def read(cls, folder: Path) -> LoggedBuilds:
        """The content of a folder that processes wrote with :class:`BuildLog`; no builds if no process wrote to it."""
        path = folder / _LINES
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        modules = {
            (line["slot"], line["at"]): LoggedModule(
                Slot(line["slot"]), line["digests"], folder / _MODULES / f"{line['at']}.json"
            )
            for line in lines
            if "at" in line
        }
        slots = [line.get("slot") for line in lines]
        return cls(
            tuple(modules[key] for key in sorted(modules)),
            slots.count(str(Slot.KERNEL)),
            slots.count(str(Slot.GRAPH)),
            any("applied" in line for line in lines),
        )
