"""Code Generation: multiply-adds in generated sources, fused or kept apart by force."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TextRule
from tvm_mutate.operators.code_examples import source_kernel

_ASSIGNMENT = re.compile(
    r"^(?P<head> *(?:(?P<type>\w+) )?(?P<name>\w+)(?:\[[^=;\n]*\])? = )\((?P<sum>[^;\n]*)\)(?=;$)", re.MULTILINE
)
# C and CUDA have fmaf, OpenCL fma; only CUDA has functions that no compiler may fuse.
_FORMS = {
    "fused": {"TVM_DLL": "fmaf({a}, {b}, {c})", "extern": "fmaf({a}, {b}, {c})", "__kernel": "fma({a}, {b}, {c})"},
    "separate": {"extern": "__fadd_rn({c}, __fmul_rn({a}, {b}))"},
}


def _rewrite(match: re.Match[str], parameters: Parameters) -> str | None:
    first_word = re.split(r"\W", match.string.lstrip(), maxsplit=1)[0]
    form = _FORMS[str(parameters["to"])].get(first_word)
    if form is None or not _is_float(match):
        return None
    terms = list(_divided(match["sum"], " + "))
    for number, term in enumerate(terms):
        factors = list(_divided(term[1:-1], " * ")) if term.startswith("(") and _closes(term) else []
        if len(terms) == len(factors) == 2:
            return match["head"] + form.format(a=factors[0], b=factors[1], c=terms[1 - number])
    return None


def _is_float(match: re.Match[str]) -> bool:
    """Whether what is assigned is a float32, as far as its declaration in the same function tells."""
    if match["type"]:
        return match["type"] == "float"
    return re.search(rf"\bfloat\b[*\s]*(?:(?:__restrict__|restrict) )?{match['name']}\b", match.string) is not None


def _divided(text: str, separator: str) -> Iterator[str]:
    """The parts between the separators that stand in no brackets."""
    depth = start = 0
    for place, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0 and text.startswith(separator, place):
            yield text[start:place]
            start = place + len(separator)
    yield text[start:]


def _closes(term: str) -> bool:
    """Whether the bracket that a term begins with is closed at its end and not before."""
    depth = 0
    for place, character in enumerate(term):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(term) - 1
    return False


def _example(kind: str, to: str, after: str) -> Example:
    lines = ("float sum[1];", "int place = (i + (j * 4));", "{}")
    before = "sum[0] = (sum[0] + (A[(i + (j * 4))] * B[i]));"
    texts = [source_kernel(kind, *(line.format(each) for line in lines)) for each in (before, after)]
    return Example(texts[0], texts[1], {"to": to}, kind=kind)


MULTIPLY_ADD = Operator(
    name="code.multiply-add",
    fault="a multiply-add that is rounded once on one device and twice on another (contraction; differing "
    "floating-point results between targets, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="fuses a multiplication and an addition in the source, so that they are rounded once, or keeps the "
    "compiler from fusing them (in CUDA only)",
    rule=TextRule(("c", "cuda", "opencl"), _ASSIGNMENT, _rewrite),
    parameters=(Parameter("to", "how they are computed", choices=tuple(_FORMS)),),
    variants=({"to": "fused"},),
    more_variants=({"to": "separate"},),
    examples=(
        _example("c", "fused", "sum[0] = fmaf(A[(i + (j * 4))], B[i], sum[0]);"),
        _example("cuda", "separate", "sum[0] = __fadd_rn(sum[0], __fmul_rn(A[(i + (j * 4))], B[i]));"),
        _example("opencl", "fused", "sum[0] = fma(A[(i + (j * 4))], B[i], sum[0]);"),
    ),
    by_default=False,
)

OPERATORS = (MULTIPLY_ADD,)
