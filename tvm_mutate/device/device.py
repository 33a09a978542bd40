"""Devices: a name, a target and a way to connect, read from the command line and from TOML files."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import tvm

from tvm_mutate.documents import read_document
from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.kernels import Toolchain, canonical_target, cuda_architecture, parse_target
from tvm_mutate.pipeline import TVM_FLOW, Flow

LOCAL = "local"
PATIENCE = 60.0
_CPU_KINDS = ("llvm", "c")
_NAMED = re.compile(r"(?P<name>[A-Za-z][\w.-]*)=(?P<rest>.+)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z][\w.-]*")
_FLOW = ("relax_pipeline", "tir_pipeline", "config")
_OPTIONS = ("session", "session_timeout", "patience", "compiler", "flags", *_FLOW)
_SESSION_EXAMPLE = "rpc://tracker:9190/pi4?target=raspberry-pi/4b-aarch64"


@dataclass(frozen=True)
class Device:
    """Where mutants run: a name for reports, the text of a target (see :func:`parse_target`), and how to connect.

    ``session`` is ``local``, or ``rpc://HOST:PORT/KEY``: a server of that key at TVM's tracker there. ``compiler``
    compiles the C code of the target ``c``, with ``flags`` after the default flags, and links libraries for other
    machines (empty: the compiler that the target needs). The server ends a remote session after ``session_timeout``
    seconds (None: derived from the time limit of a mutant); clients wait ``patience`` seconds for an absent device.
    Builds go through ``flow``.
    """

    name: str
    target: str
    session: str = LOCAL
    compiler: str = ""
    flags: tuple[str, ...] = ()
    session_timeout: float | None = None
    patience: float = PATIENCE
    flow: Flow = TVM_FLOW

    @property
    def is_remote(self) -> bool:
        """Whether the device is used over TVM's RPC."""
        return self.session != LOCAL

    @property
    def is_processor(self) -> bool:
        """Whether code for the device runs in this process, on the processor of this machine."""
        return not self.is_remote and parse_target(self.target).kind.name in _CPU_KINDS

    @property
    def toolchain(self) -> Toolchain:
        """The compiler for C code and libraries for the device."""
        if self.compiler or not self.is_remote:
            return Toolchain(self.compiler, self.flags)
        triple = str(parse_target(self.target).attrs.get("mtriple", ""))
        foreign = triple and triple.partition("-")[0] != _architecture()
        return Toolchain(f"{triple}-g++" if foreign else "", self.flags)

    @property
    def kind(self) -> str:
        """The kind of the TVM device that runs code for the target, such as ``cpu`` or ``cuda``."""
        kind = parse_target(self.target).kind.name
        return "cpu" if kind in _CPU_KINDS else str(kind)

    def runtime(self) -> tvm.runtime.Device:
        """The TVM device of this machine that runs code for the target; raises UsageError without one."""
        device = tvm.device(self.kind)
        exists = bool(cuda_architecture()) if self.kind == "cuda" else self.kind == "cpu" or device.exist
        if not exists:
            raise UsageError(
                f"device {self.name}: nothing here runs code for {self.kind}; "
                f"look at the code with: tvm-mutate show MUTANT MODEL --target {self.kind}"
            )
        return device

    def identity(self) -> tuple[str, ...]:
        """The parts that decide outcomes: name, target and every other setting that is not the default; no address."""
        place = [f"key {self.session.rpartition('/')[2]}"] if self.is_remote else []
        compiled = [f"compiler {self.compiler}"] if self.compiler else []
        flow = [f"flow {self.flow.digest}"] if self.flow.digest else []
        return (self.name, self.target, *place, *compiled, *(f"flag {flag}" for flag in self.flags), *flow)

    def to_mapping(self) -> dict[str, object]:
        """The device as a row of the results: name, target and every other setting that is not the default."""
        mapping: dict[str, object] = {"name": self.name, "target": self.target}
        if self.is_remote:
            mapping["session"] = self.session
        if self.compiler:
            mapping["compiler"] = self.compiler
        if self.flags:
            mapping["flags"] = list(self.flags)
        if self.flow.digest:
            mapping["flow"] = self.flow.to_mapping()
        return mapping


def _architecture() -> str:
    return str(tvm.target.codegen.llvm_get_system_triple()).partition("-")[0]


def parse_device(text: str) -> Device:
    """A device from ``name=description`` or ``description``; raises UsageError in one sentence.

    The description is a target (a kind, a tag or JSON), the JSON of a target together with options of the device
    (``compiler``, ``flags``, ``session``, ``session_timeout``, ``patience``, ``relax_pipeline``, ``tir_pipeline``,
    ``config``), or the address of a tracker with a key,
    whose query holds the target and the options: ``rpc://tracker:9190/pi4?target=raspberry-pi/4b-aarch64``.
    """
    named = _NAMED.fullmatch(text)
    rest = named["rest"] if named else text
    name, where = named["name"] if named else None, f"device {text!r}"
    if re.match(r"[A-Za-z]+://", rest):
        return _device(name, _from_address(rest, where), where)
    mapping = _json(rest)
    if mapping is None:
        parse_target(rest)
        return Device(name or _name_of(rest), canonical_target(rest))
    return _device(name, mapping, where)


def parse_devices(texts: Sequence[str], files: Sequence[Path] = ()) -> tuple[Device, ...]:
    """The devices of texts, then of TOML files; raises UsageError if two have the same name."""
    devices: dict[str, Device] = {}
    for device in [*map(parse_device, texts), *(each for path in files for each in read_devices(path))]:
        if device.name in devices:
            raise UsageError(f"two devices are named {device.name!r}; name one with --device NAME=TARGET")
        devices[device.name] = device
    return tuple(devices.values())


def through(flow: Flow, devices: Iterable[Device]) -> tuple[Device, ...]:
    """The devices, of which those without a flow of their own build through ``flow``."""
    return tuple(device if device.flow.digest else replace(device, flow=flow) for device in devices)


def read_devices(path: Path) -> list[Device]:
    """The devices of a TOML file: one table for each, with the keys of a target, or ``target``, and options.

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
    """The mapping that a text holds as JSON; None for another text, which is left to :func:`parse_target`."""
    try:
        mapping = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None
    return mapping if isinstance(mapping, dict) else None


def _from_address(text: str, where: str) -> dict[str, Any]:
    try:
        address = urlsplit(text)
        host, port = address.hostname, address.port
        plain = address.query.replace("+", "%2B")  # a plus is no space here, as in {"mattr":["+neon"]}
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
        _flow({key: options[key] for key in _FLOW if key in options}, where),
    )
    return _checked(device, where)


def _flow(options: Mapping[str, Any], where: str) -> Flow:
    config = options.get("config", {})
    if isinstance(config, str):
        config = _json(config)
    if not isinstance(config, dict):
        raise UsageError(f'{where}: config is no table; write one such as {{"opt_level":0}}')
    references = {key: _text(key, options[key], where) for key in options if key != "config"}
    try:
        return Flow.read(**references, config=config)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _checked(device: Device, where: str) -> Device:
    """The device; raises UsageError if it has an option that its target or session does not use."""
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
    return _name_of(target) if session == LOCAL else _joined(session.rpartition("/")[2])


def _name_of(target: str) -> str:
    """A short name: the kind and the values of its main options."""
    parsed = parse_target(target)
    if not target.lstrip().startswith("{"):
        return _joined(target)
    attributes = {key: value for key, value in sorted(parsed.attrs.items()) if key in target}
    options = [str(value) for key, value in attributes.items() if key in ("mcpu", "arch", "mtriple")]
    flags = [key for key in attributes if key.startswith("fast-math")]
    return _joined("-".join([parsed.kind.name, *options, *flags]))


def _joined(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)
