"""What the processes of a command build, in a folder that all of them write to: read to know what can be mutated."""

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

from tvm_mutate.activation.builds import Build
from tvm_mutate.activation.catching import caught_builds
from tvm_mutate.activation.relax_pipelines import caught_relax_pipelines
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Applied

_LINES = "lines.jsonl"
_MODULES = "modules"


class FolderRecorder:
    """Writes what a process builds, or what was mutated in it, to a folder; a catcher.

    A line is written at once: what a process did that ends badly is there. Raises UsageError where the folder cannot
    be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            (folder / _MODULES).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} cannot be written to ({error.strerror})") from None

    def kernel(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """Records the module that a TIR pipeline is given."""
        return self._record(Slot.KERNEL, build, module)

    def lowered(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """Records the module after the pipeline's body."""
        return self._record(Slot.LOWERED, build, module)

    def codegen(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """Records the module after a finalizer."""
        return self._record(Slot.CODEGEN, build, module)

    def graph(self, module: tvm.IRModule) -> tvm.IRModule:
        """Records that a Relax pipeline was run; models may be large, and are not kept."""
        self._write({"slot": str(Slot.GRAPH)})
        return module

    def applied(self, applied: Sequence[Applied]) -> None:
        """Records that a mutant was applied."""
        self._write({"applied": [str(each.mutation) for each in applied]})

    def _record(self, slot: Slot, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        content = tvm.ir.save_json(module)
        name = hashlib.sha256(content.encode()).hexdigest()
        path = self._folder / _MODULES / f"{name}.json"
        if not path.exists():
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_text(content)
            temporary.replace(path)
        digests = dict(build.digests)
        self._write({"slot": str(slot), "process": os.getpid(), "build": build.number, "digests": digests, "at": name})
        return module

    def _write(self, line: Mapping[str, Any]) -> None:
        descriptor = os.open(self._folder / _LINES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())  # in one piece, beside those of other processes
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def recorded_builds(recorder: FolderRecorder) -> Iterator[None]:
    """While this lasts, the builds and Relax pipelines of the process are recorded."""
    with caught_builds(recorder), caught_relax_pipelines(recorder.graph):
        yield


@dataclass(frozen=True)
class RecordedModule:
    """A module as it was in a slot of some build, with the digests of the kernels of that build by function name."""

    slot: Slot
    digests: Mapping[str, str]
    path: Path

    def module(self) -> tvm.IRModule:
        """The module."""
        return tvm.ir.load_json(self.path.read_text())


@dataclass(frozen=True)
class FolderRecording:
    """What a folder has of a command: its modules, each once, and how many builds and Relax pipelines there were."""

    modules: tuple[RecordedModule, ...]
    builds: int
    relax_pipelines: int
    applied: bool

    @classmethod
    def read(cls, folder: Path) -> FolderRecording:
        """What is in the folder; nothing was built where there is nothing."""
        lines = [json.loads(line) for line in _lines(folder)]
        modules = {
            (line["slot"], line["at"]): RecordedModule(
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


def _lines(folder: Path) -> list[str]:
    path = folder / _LINES
    return path.read_text().splitlines() if path.exists() else []
