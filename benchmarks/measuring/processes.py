"""The processes and temporary folders of a campaign: found, measured, and ended, by what the campaign was given."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

MARK = "TVM_MUTATE_BENCHMARK"
_RANDOM_END = 8


@dataclass(frozen=True)
class Marked:
    """A campaign's processes, told by a mark in their environment, and the folder for its temporary files."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def environment(self) -> dict[str, str]:
        """What has to be added to the campaign's environment."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return {MARK: self.mark, "TMPDIR": str(self.folder)}

    def processes(self) -> list[psutil.Process]:
        """The processes that carry the mark, whoever their parents are by now."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def left_over(self, grace: float = 2.0) -> list[str]:
        """The command lines of processes that outlive the campaign by more than the grace; they are ended here."""
        end = time.monotonic() + grace
        while (found := self.processes()) and time.monotonic() < end:
            time.sleep(0.05)
        told = []
        for process in found:
            with contextlib.suppress(psutil.Error):
                told.append(" ".join(process.cmdline())[:120])
                process.kill()
        return told

    def temporary(self) -> Counter[str]:
        """How many temporary files and folders are there, by the beginnings of their names."""
        return Counter(path.name[:-_RANDOM_END] or path.name for path in self.folder.glob("*"))

    def clear(self) -> None:
        """Takes the temporary files away."""
        shutil.rmtree(self.folder, ignore_errors=True)


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kills the process and the group that it leads, so that it can clean up nothing."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass
class Sampler(threading.Thread):
    """Samples the memory of a process and all below it, and the size of a folder, until it is stopped."""

    root: int
    folder: Path
    interval: float = 0.05
    peak: int = 0
    most_files: int = 0
    most_processes: int = 0
    samples: int = 0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._stop_asked = threading.Event()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Takes samples; each is spread over the time that it takes to look at every process."""
        while not self._stop_asked.wait(self.interval):
            sizes = tree_bytes(self.root)
            self.samples += bool(sizes)
            self.peak = max(self.peak, sum(sizes))
            self.most_processes = max(self.most_processes, len(sizes))
            self.most_files = max(self.most_files, folder_bytes(self.folder))

    def stop(self) -> None:
        """Ends the sampling."""
        self._stop_asked.set()
        self.join()


def tree_bytes(root: int) -> list[int]:
    """The memory of a process and of each below it: proportional set size, which counts shared pages once in all."""
    sizes = []
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(root)
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                sizes.append(_bytes(each))
    return sizes


def folder_bytes(folder: Path) -> int:
    """The size of all files in a folder that may be changing."""
    sizes = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes += Path(parent, name).lstat().st_blocks * 512
    return sizes


def _bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):
        return int(process.memory_info().rss)
