"""Which builds, and which functions of them, a mutant is for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tvm_mutate.activation.builds import Build
from tvm_mutate.passes import Selection

# What TVM calls the functions that it splits off a kernel for the device.
_DEVICE_SUFFIX = "_kernel"


@dataclass(frozen=True)
class Place:
    """All functions of all builds, or those with a digest (or its beginning), or those of one build, by number."""

    kernel: str | None = None
    build: int | None = None

    @property
    def everywhere(self) -> bool:
        """Whether all functions of all builds are meant."""
        return self.kernel is None and self.build is None

    def selections_in(self, build: Build | None, names: Iterable[str], wanted: Sequence[Selection]) -> list[Selection]:
        """The selections for functions of these names in a build (None: one that has no number)."""
        if self.everywhere:
            return list(wanted)
        if build is None or self.build not in (None, build.number):
            return []
        if self.kernel is None:
            return list(wanted)
        kernels = [name for name, digest in build.digests.items() if digest.startswith(self.kernel)]
        covered = [name for name in names if any(is_of(name, kernel) for kernel in kernels)]
        return [
            replace(selection, mutation=selection.mutation.at(name, selection.mutation.sites))
            for selection in wanted
            for name in covered
            if selection.mutation.matches(name)
        ]


class Current(threading.local):
    """The build that each thread is at."""

    build: Build | None = None


def is_of(function: str, kernel: str) -> bool:
    """Whether a function of a lowered module is a kernel of this name, or was split off it for a device."""
    return function == kernel or function.startswith(kernel + _DEVICE_SUFFIX)
