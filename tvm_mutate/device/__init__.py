"""Devices, and isolation of what runs on them."""

from tvm_mutate.device.device import Device, parse_devices
from tvm_mutate.device.isolation import Ending, Stage, die_with_parent, run_isolated
from tvm_mutate.device.memory import machine_memory, mutant_headroom
from tvm_mutate.device.temporary import held_folder

__all__ = [
    "Device",
    "Ending",
    "Stage",
    "die_with_parent",
    "held_folder",
    "machine_memory",
    "mutant_headroom",
    "parse_devices",
    "run_isolated",
]
