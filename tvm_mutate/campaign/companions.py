"""Which mutants of a plan are of one kernel, and so can be compiled together."""

from __future__ import annotations

from collections.abc import Iterable

from tvm_mutate.campaign.requests import Companions
from tvm_mutate.campaign.subject import Subject
from tvm_mutate.device import Device
from tvm_mutate.mutant import Mutant


def kernel_of(mutant: str) -> str:
    """The kernel that a mutant changes first."""
    return Mutant.parse(mutant).mutations[0].function


def companions_of(wanted: Iterable[tuple[Subject, Device, str]]) -> dict[tuple[str, str, str], Companions]:
    """The mutants of each kernel, by subject, device and kernel."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for subject, device, mutant in wanted:
        groups.setdefault((subject.name, device.name, kernel_of(mutant)), []).append(mutant)
    return {group: Companions(tuple(mutants)) for group, mutants in groups.items()}
