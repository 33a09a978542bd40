"""Reads devices: from the command line, and from TOML files."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tvm_mutate.device.device import LOCAL, PATIENCE, Device
from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.kernels import canonical_target, parse_target
from tvm_mutate.model.preprocessing import read_document

_NAMED = re.compile(r"(?P<name>[A-Za-z][\w.-]*)=(?P<rest>.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z][\w.-]*")
_OPTIONS = ("session", "session_timeout", "patience", "compiler", "flags")
_SESSION_EXAMPLE = "rpc://tracker:9190/pi4?target=raspberry-pi/4b-aarch64"


def parse_device(text: str) -> Device:
    """A device from ``name=what`` or ``what`` alone; raises UsageError in one sentence.

    ``what`` is a target (a kind, a tag or JSON), JSON of a target with options of the device beside it (``compiler``,
    ``flags``, ``session``, ``session_timeout``, ``patience``), or an address of a tracker with a key, whose query has
    the target and the options: ``rpc://tracker:9190/pi4?target=raspberry-pi/4b-aarch64``.
    """
    named = _NAMED.fullmatch(text)
    rest = named["rest"] if named else text
    given, where = named["name"] if named else None, f"device {text!r}"
    if re.match(r"[A-Za-z]+://", rest):
        return _device(given, _from_address(rest, where), where)
    mapping = _json(rest)
    if mapping is None:
        parse_target(rest)
        return Device(given or _name_of(rest), canonical_target(rest))
    return _device(given, mapping, where)


def parse_devices(texts: Sequence[str], files: Sequence[Path] = ()) -> tuple[Device, ...]:
    """Devices from texts, then those of TOML files; raises UsageError where two have one name."""
    devices: dict[str, Device] = {}
    for device in [*map(parse_device, texts), *(each for path in files for each in read_devices(path))]:
        if device.name in devices:
            raise UsageError(f"two devices are named {device.name!r}; name one with --device NAME=TARGET")
        devices[device.name] = device
    return tuple(devices.values())


def read_devices(path: Path) -> list[Device]:
    """The devices of a TOML file: one table each, under its name, with a target's keys or ``target``, and options.

    Raises UsageError for a file that cannot be read.
    """
    content = read_document(path)
    if not isinstance(content, dict) or not content:
        raise UsageError(f"devices {path} names no device; write a table for each, such as [fast] with kind = 'llvm'")
    for name, table in content.items():
        if not isinstance(table, dict):
            raise UsageError(f"devices {path}: {name} is no table; write [{name}] and under it kind = 'llvm'")
        if not _NAME.fullmatch(name):
            raise UsageError(f"devices {path}: {name!r} is no name; it begins with a letter, and has no spaces")
    return [_device(name, table, f"devices {path}: {name}") for name, table in content.items()]


def _json(text: str) -> dict[str, Any] | None:
    """The mapping that a text is the JSON of; None for a target's text, which is told to be wrong where it is."""
    try:
        mapping = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return mapping if isinstance(mapping, dict) else None


def _from_address(text: str, where: str) -> dict[str, Any]:
    try:
        address = urlsplit(text)
        host, port = address.hostname, address.port
        plain = address.query.replace(
            "+", "%2B"
        )  # a plus is one, as in {"mattr":["+neon"]}; it is no form that is sent
        query = parse_qsl(plain, keep_blank_values=True, strict_parsing=bool(plain))
    except ValueError as error:
        raise UsageError(f"{where} is no address ({error}); write {_SESSION_EXAMPLE}") from None
    key = address.path.strip("/")
    if address.scheme != "rpc" or not host or not port or not key or "/" in key or address.fragment:
        raise UsageError(f"{where} is no address of a tracker and a key; write {_SESSION_EXAMPLE}")
    mapping: dict[str, Any] = dict(query)
    if len(mapping) < len(query):
        raise UsageError(f"{where} gives an option twice")
    unknown = sorted(mapping.keys() - {*_OPTIONS, "target"} | (mapping.keys() & {"session"}))
    if unknown:
        raise UsageError(f"{where} has no option {unknown[0]!r}{suggestion(unknown[0], ['target', *_OPTIONS[1:]])}")
    if "target" not in mapping:
        raise UsageError(f"{where} has no target; write {_SESSION_EXAMPLE}")
    if "flags" in mapping:
        mapping["flags"] = _split(mapping["flags"], where)
    place = f"[{host}]" if ":" in host else host
    return {**mapping, "session": f"rpc://{place}:{port}/{key}"}


def _device(name: str | None, mapping: Mapping[str, Any], where: str) -> Device:
    options = {key: mapping[key] for key in _OPTIONS if key in mapping}
    rest = {key: value for key, value in mapping.items() if key not in _OPTIONS}
    target: Any = rest
    if "target" in rest:
        target = rest.pop("target")
        if rest:
            raise UsageError(f"{where} has both a target and {sorted(rest)[0]!r}; put that into the target")
    text = target if isinstance(target, str) else _target_text(target, where)
    nested = _json(text)
    parse_target(text if nested is None else nested)
    text = canonical_target(text)
    session = _session(options.get("session", LOCAL), where)
    device = Device(
        name or _default_name(text, session),
        text,
        session,
        _text("compiler", options.get("compiler", ""), where),
        _flags(options.get("flags", ()), where),
        _seconds("session_timeout", options.get("session_timeout"), where),
        _seconds("patience", options.get("patience", PATIENCE), where) or PATIENCE,
    )
    return _checked(device, where)


def _checked(device: Device, where: str) -> Device:
    """The device; raises UsageError where its options have nothing to do with one another."""
    kind = parse_target(device.target).kind.name
    if device.flags and kind != "c":
        raise UsageError(f"{where} has flags, which are for the target c; {kind} takes its options in the target")
    if device.compiler and kind != "c" and not device.is_remote:
        raise UsageError(f"{where} has a compiler, which is for the target c or for a remote device")
    if device.session_timeout is not None and not device.is_remote:
        raise UsageError(f"{where} has a session_timeout, which is for a remote device")
    return device


def _target_text(target: Any, where: str) -> str:
    if not isinstance(target, dict) or not target:
        raise UsageError(f"{where} has no target; give kind = 'llvm', or target and a tag")
    try:
        return json.dumps(target)
    except (TypeError, ValueError):
        raise UsageError(f"{where} has a target that JSON cannot hold") from None


def _session(value: Any, where: str) -> str:
    text = _text("session", value, where)
    if text == LOCAL:
        return text
    if "?" in text:
        raise UsageError(f"{where}: session {text!r} has options of its own; write them beside it")
    return str(_from_address(f"{text}?target=llvm", f"{where}: session {text!r}")["session"])


def _flags(value: Any, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        value = _split(value, where)
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) and each for each in value):
        raise UsageError(f'{where}: flags are no texts; write ["-O3", "-march=native"]')
    return tuple(value)


def _split(text: str, where: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"{where}: flags {text!r} do not parse ({error})") from None


def _text(key: str, value: Any, where: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise UsageError(f"{where}: {key} is no text")
    return value


def _seconds(key: str, value: Any, where: str) -> float | None:
    if value is None:
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(f"{where}: {key} is {value!r}, and has to be a number of seconds above 0")
    return seconds


def _default_name(target: str, session: str) -> str:
    return _name_of(target) if session == LOCAL else re.sub(r"[^\w.-]+", "-", session.rpartition("/")[2])


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
