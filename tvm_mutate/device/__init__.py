"""Devices, and isolation of what runs on them."""

from tvm_mutate.device.device import Device, parse_devices
from tvm_mutate.device.isolation import Ending, Stage, die_with_parent, run_isolated
from tvm_mutate.device.temporary import held_folder

__all__ = ["Device", "Ending", "Stage", "die_with_parent", "held_folder", "parse_devices", "run_isolated"]
