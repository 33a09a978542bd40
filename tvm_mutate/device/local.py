"""The devices of this machine, used as remote ones are: opened, given libraries, and asked how they broke."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import tvm

from tvm_mutate.device.device import Device
from tvm_mutate.device.isolation import EndingKind
from tvm_mutate.device.remote import Break, last_line


class Place(Protocol):
    """Where libraries are loaded and tensors kept; it is opened when it is first needed, in a child process."""

    def open(self) -> tvm.runtime.Device:
        """The device; raises DeviceLostError where there is none to be had."""
        ...

    def load(self, library: Path) -> tvm.runtime.Module:
        """A shared library, loaded there."""
        ...

    def break_of(self, error: Exception) -> Break | None:
        """What an error says of the place; None where it is an error of the program, and the place is well."""
        ...


class Local:
    """A device of this machine in the process that opens it, which must not have been forked from one that did."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._runtime: tvm.runtime.Device | None = None

    def open(self) -> tvm.runtime.Device:
        """The device; raises UsageError where nothing here runs code for its target."""
        self._runtime = self._device.runtime()
        return self._runtime

    def load(self, library: Path) -> tvm.runtime.Module:
        """A shared library, loaded into this process."""
        return tvm.runtime.load_module(str(library))

    def break_of(self, error: Exception) -> Break | None:
        """A death, where the device does not go on after the error, as after an illegal access on a GPU."""
        if self._runtime is None:
            return None
        try:
            self._runtime.sync()
        except Exception:
            return Break(EndingKind.DIED, f"{last_line(error)} on {self._device.name}")
        return None
