"""Devices: a name, what to compile for, and where to run."""

from __future__ import annotations

import re
from dataclasses import dataclass

import tvm

from tvm_mutate.build import canonical_target, parse_target
from tvm_mutate.errors import UsageError

_CPU_KINDS = ("llvm", "c")


@dataclass(frozen=True)
class Device:
    """A place where mutants run: a name for reports and the target's text (see :func:`parse_target`)."""

    name: str
    target: str

    @classmethod
    def parse(cls, text: str) -> Device:
        """A device from ``name=target`` or from a target alone; raises UsageError for a target TVM does not know."""
        named = re.fullmatch(r"(?P<name>[A-Za-z][\w.-]*)=(?P<target>.+)", text, re.DOTALL)
        target = named["target"] if named else text
        parse_target(target)
        return cls(named["name"] if named else _name_of(target), canonical_target(target))

    @property
    def is_processor(self) -> bool:
        """Whether its code runs on the processor of this machine, in memory of the process."""
        return parse_target(self.target).kind.name in _CPU_KINDS

    def runtime(self) -> tvm.runtime.Device:
        """The local TVM device that runs code for the target; raises UsageError where there is none."""
        kind = parse_target(self.target).kind.name
        device = tvm.cpu() if self.is_processor else tvm.device(kind)
        if not self.is_processor and not device.exist:
            raise UsageError(
                f"device {self.name}: nothing here runs code for {kind}; "
                f"look at the code with: tvm-mutate show MUTANT MODEL --target {kind}"
            )
        return device


def parse_devices(texts: list[str] | tuple[str, ...]) -> tuple[Device, ...]:
    """Devices from their texts; raises UsageError where two have one name."""
    devices: dict[str, Device] = {}
    for text in texts:
        device = Device.parse(text)
        if device.name in devices:
            raise UsageError(f"two devices are named {device.name!r}; name one with --device NAME={text}")
        devices[device.name] = device
    return tuple(devices.values())


def _name_of(target: str) -> str:
    """A short name: the kind, and the values of the options that follow it."""
    parsed = parse_target(target)
    if not target.lstrip().startswith("{"):
        return re.sub(r"[^\w.-]+", "-", target)
    options = [
        str(value)
        for key, value in sorted(parsed.attrs.items())
        if key in ("mcpu", "arch", "mtriple") and key in target
    ]
    flags = [key for key in sorted(parsed.attrs) if key.startswith("fast-math") and key in target]
    return re.sub(r"[^\w.-]+", "-", "-".join([parsed.kind.name, *options, *flags]))
