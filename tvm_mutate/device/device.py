"""Devices: a name, what to compile for, where to run, and with what options."""

from __future__ import annotations

from dataclasses import dataclass

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import Toolchain, cuda_architecture, parse_target

LOCAL = "local"
PATIENCE = 60.0
_CPU_KINDS = ("llvm", "c")


@dataclass(frozen=True)
class Device:
    """A place where mutants run: a name for reports, the target's text (see :func:`parse_target`), and a session.

    ``session`` is ``local``, or ``rpc://HOST:PORT/KEY``: a server of that key at TVM's tracker there. ``compiler``
    compiles the C text of the target ``c``, with ``flags`` after our own, and links what goes to another machine
    (empty: the one that the target asks for). A remote session is ended by its server after ``session_timeout`` seconds
    (None: as the time limit of a mutant demands); for ``patience`` seconds a device that has gone is waited for.
    """

    name: str
    target: str
    session: str = LOCAL
    compiler: str = ""
    flags: tuple[str, ...] = ()
    session_timeout: float | None = None
    patience: float = PATIENCE

    @property
    def is_remote(self) -> bool:
        """Whether its code runs elsewhere, over TVM's RPC."""
        return self.session != LOCAL

    @property
    def is_processor(self) -> bool:
        """Whether its code runs on the processor of this machine, in memory of the process."""
        return not self.is_remote and parse_target(self.target).kind.name in _CPU_KINDS

    @property
    def toolchain(self) -> Toolchain:
        """The compiler for its code."""
        if self.compiler or not self.is_remote:
            return Toolchain(self.compiler, self.flags)
        triple = str(parse_target(self.target).attrs.get("mtriple", ""))
        foreign = triple and triple.partition("-")[0] != _architecture()
        return Toolchain(f"{triple}-g++" if foreign else "", self.flags)

    @property
    def kind(self) -> str:
        """The name of TVM's device that runs code for the target."""
        kind = parse_target(self.target).kind.name
        return "cpu" if kind in _CPU_KINDS else str(kind)

    def runtime(self) -> tvm.runtime.Device:
        """The local TVM device that runs code for the target; raises UsageError where there is none."""
        device = tvm.device(self.kind)
        exists = bool(cuda_architecture()) if self.kind == "cuda" else self.kind == "cpu" or device.exist
        if not exists:
            raise UsageError(
                f"device {self.name}: nothing here runs code for {self.kind}; "
                f"look at the code with: tvm-mutate show MUTANT MODEL --target {self.kind}"
            )
        return device

    def identity(self) -> tuple[str, ...]:
        """What of it decides the outcomes: name and target, and whatever else is not the default; not an address."""
        place = [f"key {self.session.rpartition('/')[2]}"] if self.is_remote else []
        compiled = [f"compiler {self.compiler}"] if self.compiler else []
        return (self.name, self.target, *place, *compiled, *(f"flag {flag}" for flag in self.flags))

    def to_mapping(self) -> dict[str, object]:
        """The device as a row of the results: name and target, and what else is not the default."""
        mapping: dict[str, object] = {"name": self.name, "target": self.target}
        if self.is_remote:
            mapping["session"] = self.session
        if self.compiler:
            mapping["compiler"] = self.compiler
        if self.flags:
            mapping["flags"] = list(self.flags)
        return mapping


def _architecture() -> str:
    return str(tvm.target.codegen.llvm_get_system_triple()).partition("-")[0]
