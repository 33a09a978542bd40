"""Devices, and isolation of what runs on them."""

from tvm_mutate.device.device import LOCAL, Device
from tvm_mutate.device.isolation import Ending, Stage, die_with_parent, run_isolated
from tvm_mutate.device.memory import machine_memory, mutant_headroom
from tvm_mutate.device.parsing import parse_device, parse_devices, read_devices
from tvm_mutate.device.persistence import CONNECTING, LOST, RemoteTasks, why_no_session
from tvm_mutate.device.remote import DeviceLostError, Remote, why_absent
from tvm_mutate.device.temporary import held_folder

__all__ = [
    "CONNECTING",
    "LOCAL",
    "LOST",
    "Device",
    "DeviceLostError",
    "Ending",
    "Remote",
    "RemoteTasks",
    "Stage",
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
