"""Devices, sessions on devices, and tasks in child processes."""

from tvm_mutate.device.device import LOCAL, Device, parse_device, parse_devices, read_devices, through
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
