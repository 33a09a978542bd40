"""Devices, and isolation of what runs on them."""

from tvm_mutate.device.device import LOCAL, Device
from tvm_mutate.device.isolation import Children, Ending, EndingKind, Stage, die_with_parent, run_isolated
from tvm_mutate.device.lasting import Answer, LastingChild
from tvm_mutate.device.local import Local, Place
from tvm_mutate.device.memory import machine_memory, mutant_headroom
from tvm_mutate.device.parsing import parse_device, parse_devices, read_devices
from tvm_mutate.device.persistence import CONNECTING, RemoteTasks, why_no_session
from tvm_mutate.device.remote import Demand, DeviceLostError, Remote, demand_for, why_absent
from tvm_mutate.device.session import LastingSession
from tvm_mutate.device.temporary import held_folder

__all__ = [
    "CONNECTING",
    "LOCAL",
    "Answer",
    "Children",
    "Demand",
    "Device",
    "DeviceLostError",
    "Ending",
    "EndingKind",
    "LastingChild",
    "LastingSession",
    "Local",
    "Place",
    "Remote",
    "RemoteTasks",
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
