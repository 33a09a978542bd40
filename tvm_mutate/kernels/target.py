"""Targets of compilation, from a tag, a dict or JSON."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import tvm
from tvm.target import Target, codegen

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.forked import call_in_child

_ARCHITECTURE_WITHOUT_GPU = "sm_50"
_KINDS = ("llvm", "c", "cuda", "opencl", "webgpu", "metal", "vulkan", "rocm")


def parse_target(text: str | Mapping[str, Any] | Target) -> Target:
    """The TVM target that ``text`` names: a kind (``llvm``), a tag, a dict or its JSON.

    A target that needs a host gets ``llvm`` as host. Raises UsageError in one sentence.
    """
    if isinstance(text, Target):
        return text
    specification = dict(text) if isinstance(text, Mapping) else _specification(text)
    try:
        target = Target(_with_architecture(specification))
    except Exception as error:  # TVM raises InternalError, ValueError or TypeError
        first_line = (str(error).strip().splitlines() or [""])[-1]
        raise UsageError(
            f"target {_shown(text)} is not one that TVM knows ({first_line}){_hint(specification)}"
        ) from None
    _check_processor(target, text)
    return target if target.host is not None or target.kind.name in ("llvm", "c") else target.with_host(Target("llvm"))


def _with_architecture(specification: str | dict[str, Any]) -> str | dict[str, Any]:
    """A CUDA target with an architecture: of the GPU, or without a GPU TVM's default, which would cause a warning."""
    mapping = {"kind": specification} if isinstance(specification, str) else specification
    if mapping.get("kind") != "cuda" or "arch" in mapping:
        return specification
    return {**mapping, "arch": cuda_architecture() or _ARCHITECTURE_WITHOUT_GPU}


@functools.cache
def cuda_architecture() -> str:
    """The architecture of this machine's GPU, such as ``sm_90``; empty without one.

    The GPU is asked in a child, so that other children of this process can still use it; the answer is cached.
    """
    try:
        return call_in_child(lambda: f"sm_{tvm.cuda().compute_version.replace('.', '')}" if tvm.cuda().exist else "")
    except Exception:  # a broken driver may raise any error, or end the child
        return ""


def _check_processor(target: Target, text: str | Mapping[str, Any]) -> None:
    """Raises UsageError for an unknown processor, for which LLVM would silently use a generic one."""
    processor = str(target.attrs.get("mcpu", ""))
    if target.kind.name != "llvm" or not processor:
        return
    triple = str(target.attrs.get("mtriple", "")) or codegen.llvm_get_system_triple()
    if not codegen.llvm_is_valid_cpu(processor, triple):
        known = [str(name) for name in codegen.llvm_get_cpu_archlist(Target({"kind": "llvm", "mtriple": triple}))]
        raise UsageError(
            f"target {_shown(text)}: LLVM knows no processor {processor!r} for {triple}{suggestion(processor, known)}"
        )


def canonical_target(text: str | Mapping[str, Any] | Target) -> str:
    """The JSON (or the name) of a target; equal targets have equal text."""
    target = parse_target(text)
    if isinstance(text, str) and not text.lstrip().startswith("{"):
        return text
    if isinstance(text, Target):
        return json.dumps({"kind": target.kind.name, **{key: str(value) for key, value in target.attrs.items()}})
    specification = json.loads(text) if isinstance(text, str) else dict(text)
    return json.dumps(specification, sort_keys=True, separators=(",", ":"))


def _specification(text: str) -> str | dict[str, Any]:
    stripped = text.strip()
    if stripped.startswith("{"):
        try:
            return json.loads(stripped)
        except json.JSONDecodeError as error:
            raise UsageError(f"target {text!r} is not JSON ({error.msg} at column {error.colno})") from None
        except RecursionError:
            raise UsageError(f"target {text[:40]!r}... is nested too deeply") from None
    if " " in stripped or "=" in stripped:
        raise UsageError(
            f'target {text!r} has options in the old style; write JSON such as \'{{"kind":"llvm","mcpu":"x86-64-v3"}}\''
        )
    return stripped


def _shown(text: str | Mapping[str, Any]) -> str:
    return repr(text) if isinstance(text, str) else json.dumps(dict(text))


def _hint(specification: str | dict[str, Any]) -> str:
    kind = specification if isinstance(specification, str) else str(specification.get("kind", ""))
    return "" if kind in _KINDS else suggestion(kind, _KINDS)
