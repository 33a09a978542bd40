"""Devices, sessions on devices, and tasks in child processes."""

from tvm_mutate.device.device import LOCAL, Device, parse_device, parse_devices, read_devices
from tvm_mutate.device.isolation import (
    Children,
    Ending,
    EndingKind,
    PersistentChild,
    Stage,
    die_with_parent,
    machine_memory,
    mutant_headroom,
    run_isolated,
)
from tvm_mutate.device.session import DeviceLostError, RemoteSession, Session, demand_for, why_absent
from tvm_mutate.device.tasks import PersistentSession, RemoteTasks, why_no_session
from tvm_mutate.device.temporary import held_folder

__all__ = [
    "LOCAL",
    "Children",
    "Device",
    "DeviceLostError",
    "Ending",
    "EndingKind",
    "PersistentChild",
    "PersistentSession",
    "RemoteSession",
    "RemoteTasks",
    "Session",
    "Stage",
    "demand_for",
    "die_with_parent",
    "held_folder",
    "machine_memory",
    "mutant_headroom",
    "parse_device",
    "parse_devices",
    "read_devices",
    "run_isolated",
    "why_absent",
    "why_no_session",
]
