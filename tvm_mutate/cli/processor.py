"""Whether this machine's processor runs the code that LLVM generates for a target."""

from __future__ import annotations

import re

import tvm
from tvm.target import Target, codegen

# Virtual machines hide some of these; code that a compiler makes on its own has none of them.
_NEVER_GENERATED = re.compile(
    "amx-.*|cl(demote|flushopt|wb|zero)|enqcmd|fsgsbase|hreset|invpcid|(wide)?kl|lwp|movdir64b|movdiri|mwaitx|pconfig|pku|"
    "prefetchi|ptwrite|rdpid|rdpru|rdrnd|rdseed|rtm|serialize|sgx|shstk|tsxldtrk|uintr|usermsr|waitpkg|wbnoinvd"
)


def obstacle(target: Target) -> str | None:
    """Why code for an ``llvm`` target would only crash here, in a few words; None if nothing speaks against it.

    LLVM knows a processor by the instructions that it has and by what it is tuned for; only the former count, and
    of these the ones that LLVM can detect on the host.
    """
    triple = str(target.attrs.get("mtriple", "")) or host_triple()
    if _architecture(triple) != _architecture(host_triple()):
        return f"code for {_architecture(triple)}, on {_architecture(host_triple())}"
    here = host_features()
    wanted = {str(feature) for feature in codegen.llvm_get_cpu_features(target)}
    missing = sorted(
        feature for feature in wanted if not here.get(feature, True) and not _NEVER_GENERATED.fullmatch(feature)
    )
    return f"this processor lacks {', '.join(missing)}" if missing else None


def host_triple() -> str:
    """LLVM's name for this machine, such as ``x86_64-unknown-linux-gnu``."""
    return str(codegen.llvm_get_system_triple())


def host_features() -> dict[str, bool]:
    """The instruction sets that LLVM looks for on this machine, and whether they are there; empty if it cannot tell."""
    detect = tvm.get_global_func("tvm.codegen.llvm.GetHostCPUFeatures", allow_missing=True)
    return {str(name): bool(there) for name, there in detect().items()} if detect else {}


def _architecture(triple: str) -> str:
    return triple.partition("-")[0]
