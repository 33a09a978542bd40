"""What is known of a build that was caught, and what may be done to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import tvm
from tvm import tirx

_SYMBOL = "global_symbol"
# Where source text stood: the same kernel some lines further down is the same kernel.
_SPANS = ("ir.Span", "ir.SequentialSpan", "ir.SourceName")


def kernel_digest(function: tirx.PrimFunc) -> str:
    """The SHA-256 of a function, without its name and the place of its source, as hexadecimal text.

    It is the same in every process. Of a build it is taken of the structured function that the TIR pipeline is given,
    which is bound to its target by then: a kernel has another digest for another target.
    """
    graph = json.loads(tvm.ir.save_json(function.without_attr(_SYMBOL)))
    nodes = [{"type": node["type"]} if node["type"] in _SPANS else node for node in graph["nodes"]]
    return hashlib.sha256(json.dumps([graph["root_index"], nodes]).encode()).hexdigest()


class Digests(Mapping[str, str]):
    """The digests of a module's PrimFuncs by name, sorted, each computed when first asked for."""

    def __init__(self, module: tvm.IRModule) -> None:
        self._functions = {
            variable.name_hint: function
            for variable, function in module.functions.items()
            if isinstance(function, tirx.PrimFunc)
        }
        self._digests: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._digests:
            self._digests[name] = kernel_digest(self._functions[name])
        return self._digests[name]

    @cached_property
    def _names(self) -> list[str]:
        return sorted(self._functions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._functions)


@dataclass(frozen=True)
class Build:
    """A run of a TIR pipeline: its number (from 0, in this process since catching began), and what it was given.

    ``target`` is the text of the target that the kernels are bound to (of several, joined by ``" and "``), ``digests``
    has the digest of each kernel by function name. Builds of constant folding count like all others.
    """

    number: int
    target: str
    digests: Mapping[str, str]

    @classmethod
    def of(cls, number: int, module: tvm.IRModule) -> Build:
        """The build of a module as the TIR pipeline is given it."""
        targets = {
            str(function.attrs["target"])
            for function in module.functions.values()
            if function.attrs and "target" in function.attrs
        }
        return cls(number, " and ".join(sorted(targets)), Digests(module))


class Catcher(Protocol):
    """What sees, and may replace, the modules of every build: module in, module out, the same one to leave it."""

    def kernel(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """The module as it is handed to the TIR pipeline."""
        ...

    def lowered(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """The module after the pipeline's body, host and device functions together."""
        ...

    def codegen(self, build: Build, module: tvm.IRModule) -> tvm.IRModule:
        """The module after the finalizers: called for the host functions and for each kind of device functions."""
        ...
