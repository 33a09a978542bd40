"""Generated code as text: which parts of it are which kernel's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Span = tuple[int, int]

# The symbol under which TVM's code generators export a kernel of the host.
ENTRY_PREFIX = "__tvm_ffi_"
# A function of LLVM IR, with its name as it is referred to.
LLVM_FUNCTION = re.compile(r'^define [^@]*(@[\w.$]+|@"[^"]+").*?^}', re.MULTILINE | re.DOTALL)

_INTERNAL = "define internal "
_ASSUMPTION = "call void @llvm.assume("
_LLVM_NAME = re.compile(r"@[\w.$]+")
_SOURCE_FUNCTIONS = {
    kind: re.compile(rf"^{head}(?P<name>\w+)\([^;{{]*\) \{{$.*?^}}", re.MULTILINE | re.DOTALL)
    for kind, head in (
        ("c", f"TVM_DLL int32_t {ENTRY_PREFIX}"),
        ("cuda", r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\) )?'),
        ("opencl", r"__kernel void "),
    )
}
_INTRINSIC_CALL = re.compile(
    r"call (?:[a-z]+ )*(?P<type>(?:<\d+ x )?[a-z]\w*>?) (?P<name>@llvm\.[\w.]+)\((?P<arguments>[^\n]*)\)"
)
# The kinds of targets whose code is known well enough to find the kernels in it.
CODE_KINDS = ("llvm", *_SOURCE_FUNCTIONS)


def kernel_spans(text: str, kind: str) -> dict[str, tuple[Span, ...]]:
    """Where the code of each kernel stands in code generated for a kind of target, by name and in order of the text.

    A kernel of LLVM IR is the function that computes, with those that belong to it alone, without the one that unpacks
    its arguments: no other function of the module moves a place in it. A code of an unknown kind has no kernels.
    """
    if kind == "llvm":
        return _llvm_spans(text)
    pattern = _SOURCE_FUNCTIONS.get(kind)
    return {match["name"]: (match.span(),) for match in pattern.finditer(text)} if pattern else {}


def kernel_parts(text: str, kind: str) -> dict[str, tuple[str, ...]]:
    """The code of each kernel in code generated for a kind of target, by name and in order of the text."""
    return {name: tuple(text[start:end] for start, end in spans) for name, spans in kernel_spans(text, kind).items()}


def missing_declarations(text: str, parts: Iterable[str]) -> str:
    """The declarations, to be put behind LLVM IR, of the intrinsics that only the rewritten parts of it call.

    All arguments of such an intrinsic have the type of its result.
    """
    calls = {match["name"]: match for part in parts for match in _INTRINSIC_CALL.finditer(part)}
    missing = [name for name in calls if not re.search(rf"^declare [^\n]*{re.escape(name)}\(", text, re.MULTILINE)]
    return "".join(f"\n{_declaration(calls[name])}\n" for name in missing)


def _declaration(call: re.Match[str]) -> str:
    kind = call["type"]
    count = 1 + call["arguments"].count(f", {kind} ")
    return f"declare {kind} {call['name']}({', '.join([kind] * count)})"


def _llvm_spans(text: str) -> dict[str, tuple[Span, ...]]:
    spans = {match[1]: match.span() for match in LLVM_FUNCTION.finditer(text)}
    kernels = {}
    for name in spans:
        if name.startswith(f"@{ENTRY_PREFIX}"):
            inside = _internal_functions(name, text, spans)
            kernels[name.removeprefix(f"@{ENTRY_PREFIX}")] = tuple(sorted(spans[each] for each in inside)) or (
                _behind_arguments(text, spans[name]),
            )
    return kernels


def _behind_arguments(text: str, span: Span) -> Span:
    """The part of a function, into which LLVM has put the one that computes, behind the unpacking of its arguments.

    That ends with what is assumed of the buffers' addresses.
    """
    assumed = text.rfind(_ASSUMPTION, *span)
    return span if assumed < 0 else (text.index("\n", assumed) + 1, span[1])


def _internal_functions(entry: str, text: str, spans: Mapping[str, Span]) -> list[str]:
    """The functions that no other module sees, and that the entry calls directly or by others of them."""
    found: list[str] = []
    waiting = [entry]
    for name in waiting:  # grows while it is walked through
        start, end = spans[name]
        for match in _LLVM_NAME.finditer(text, start, end):
            each = match[0]
            if each in spans and each not in waiting and text.startswith(_INTERNAL, spans[each][0]):
                waiting.append(each)
                found.append(each)
    return found
