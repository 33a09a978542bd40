"""Generated code as text: the code of each kernel in it, and mutations of that code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tvm_mutate.mutant import TextRule
from tvm_mutate.passes.selection import Applied, FunctionSites, Selection, Site, naming_operators, shortened

Span = tuple[int, int]

# TVM's code generators export a host kernel under its name with this prefix.
ENTRY_PREFIX = "__tvm_ffi_"
# A function of LLVM IR, with its name as callers write the name.
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
# The kinds of targets whose kernels can be found in the generated code.
CODE_KINDS = ("llvm", *_SOURCE_FUNCTIONS)


def kernel_spans(text: str, kind: str) -> dict[str, tuple[Span, ...]]:
    """The spans of each kernel's code in the text, by name and in order of the text; empty for an unknown kind.

    A kernel of LLVM IR is the function that computes and the internal functions that it alone calls, without the code
    that unpacks its arguments: so no other function of the module shifts the numbers of its sites.
    """
    if kind == "llvm":
        return _llvm_spans(text)
    pattern = _SOURCE_FUNCTIONS.get(kind)
    return {match["name"]: (match.span(),) for match in pattern.finditer(text)} if pattern else {}


def kernel_parts(text: str, kind: str) -> dict[str, tuple[str, ...]]:
    """The code of each kernel in the text, by name and in order of the text."""
    return {name: tuple(text[start:end] for start, end in spans) for name, spans in kernel_spans(text, kind).items()}


def missing_declarations(text: str, parts: Iterable[str]) -> str:
    """The declarations that LLVM IR lacks, of intrinsics that only the rewritten parts call.

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
    """The part of a function after the unpacking of its arguments, if LLVM inlined the function that computes.

    The unpacking ends with the assumptions about the addresses of the buffers.
    """
    assumed = text.rfind(_ASSUMPTION, *span)
    return span if assumed < 0 else (text.index("\n", assumed) + 1, span[1])


def _internal_functions(entry: str, text: str, spans: Mapping[str, Span]) -> list[str]:
    """The internal functions that the entry calls, directly or through other internal functions."""
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


def rewrite_kernel_text(parts: Sequence[str], all_sites: Sequence[FunctionSites]) -> list[str]:
    """The parts of a kernel's code with the selected sites rewritten; ``all_sites`` note what was applied.

    Sites are found and numbered in the original text, from the first part to the last. If several mutations of a mutant
    have the same site, each is applied to the result of the one before; of sites that overlap otherwise only the first
    mutation's is rewritten.
    """
    return [_rewritten(part, all_sites) for part in parts]


def _rewritten(part: str, all_sites: Sequence[FunctionSites]) -> str:
    edits: dict[Span, str] = {}
    for sites_here in all_sites:
        earlier = dict(edits)
        for match in _rule(sites_here).pattern.finditer(part):
            _offer(match, sites_here, earlier, edits)
    for (start, end), text in sorted(edits.items(), reverse=True):
        part = part[:start] + text + part[end:]
    return part


def _offer(match: re.Match[str], sites_here: FunctionSites, earlier: dict[Span, str], edits: dict[Span, str]) -> None:
    """Counts a match that is a site, and adds its replacement to the edits if it is selected."""
    candidate = _candidate(match, sites_here)
    if candidate is None:
        return
    ordinal = sites_here.found
    sites_here.found += 1
    if sites_here.descriptions is not None:
        before, after = (shortened(" / ".join(map(str.strip, text.splitlines()))) for text in (match[0], candidate))
        sites_here.descriptions.append(Site(sites_here.function, ordinal, before, after))
    if ordinal not in sites_here.selection.mutation.sites:
        return
    span = match.span()
    if span in earlier:
        candidate = _candidate_again(match, earlier[span], sites_here)
    elif any(start < span[1] and span[0] < end for start, end in earlier):
        candidate = None
    if candidate is not None:
        edits[span] = candidate
        sites_here.applied.append(ordinal)


def _candidate_again(match: re.Match[str], text: str, sites_here: FunctionSites) -> str | None:
    """The replacement of a match that an earlier mutation has rewritten to ``text``."""
    start, end = match.span()
    again = _rule(sites_here).pattern.match(match.string[:start] + text + match.string[end:], start)
    return None if again is None or again.end() != start + len(text) else _candidate(again, sites_here)


def _candidate(match: re.Match[str], sites_here: FunctionSites) -> str | None:
    text = _rule(sites_here).rewrite(match, sites_here.selection.parameters)
    return None if text == match[0] else text


def _rule(sites_here: FunctionSites) -> TextRule:
    rule = sites_here.selection.operator.rule
    assert isinstance(rule, TextRule)
    return rule


def apply_to_code(text: str, kind: str, selections: Sequence[Selection]) -> tuple[str, list[Applied]]:
    """The code with all the selections applied at once, and what each did to each kernel that it matches.

    A kernel is changed if its text differs. The report is in the order of kernel names.
    """
    report: list[Applied] = []
    edits = []
    for name, spans in sorted(kernel_spans(text, kind).items()):
        all_sites = _sites_in(name, kind, selections)
        if not all_sites:
            continue
        parts = [text[start:end] for start, end in spans]
        with naming_operators([each.selection for each in all_sites], name):
            rewritten = rewrite_kernel_text(parts, all_sites)
        edits += [(span, part) for span, before, part in zip(spans, parts, rewritten, strict=True) if part != before]
        report += [each.report(parts != rewritten) for each in all_sites]
    declarations = missing_declarations(text, (part for _, part in edits)) if kind == "llvm" else ""
    for (start, end), part in sorted(edits, reverse=True):
        text = text[:start] + part + text[end:]
    return text + declarations, report


def count_code_sites(text: str, kind: str, selection: Selection) -> dict[str, int]:
    """The number of sites of the selection's operator by kernel, for kernels with sites."""
    counts: dict[str, int] = {}
    for name, parts in sorted(kernel_parts(text, kind).items()):
        for each in _sites_in(name, kind, [selection]):
            rewrite_kernel_text(parts, [each])
            if each.found:
                counts[name] = each.found
    return counts


def _sites_in(name: str, kind: str, selections: Sequence[Selection]) -> list[FunctionSites]:
    return [
        FunctionSites(selection, name)
        for selection in selections
        if selection.mutation.matches(name)
        and isinstance(selection.operator.rule, TextRule)
        and kind in selection.operator.rule.kinds
    ]
