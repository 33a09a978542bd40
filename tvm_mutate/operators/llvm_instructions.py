"""Code Generation: instructions of LLVM IR selected wrongly, one by one, after LLVM's optimisations."""

from __future__ import annotations

import re

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TextRule
from tvm_mutate.operators.code_examples import llvm_kernel
from tvm_mutate.operators.llvm_flags import FAST_MATH_FLAGS

_FLAGS = rf"(?P<flags>(?:(?:{'|'.join(FAST_MATH_FLAGS)}) )*)"
_TYPE = r"(?P<type>(?:<\d+ x )?\w+>?)"
_REMARKS = r"(?P<remarks>(?:, !\w+ ![0-9]+)*)$"
_MULTIPLY_ADD = re.compile(
    rf"^  (?P<result>%[\w.]+) = (?:tail )?call {_FLAGS}{_TYPE} @llvm\.fmuladd\.(?P<suffix>\w+)"
    rf"\((?P=type) (?P<a>.+?), (?P=type) (?P<b>.+?), (?P=type) (?P<c>.+?)\)(?: #\d+)?{_REMARKS}",
    re.MULTILINE,
)
_FLOAT_COMPARISON = re.compile(r"(?<== fcmp )" + _FLAGS + r"(?P<order>[ou])(?P<relation>eq|ne|gt|ge|lt|le)(?= )")
_UNSIGNED = {
    "sext": "zext",
    "ashr": "lshr",
    "sdiv": "udiv",
    "srem": "urem",
    "sitofp": "uitofp",
    "fptosi": "fptoui",
    **{f"icmp s{relation}": f"icmp u{relation}" for relation in ("gt", "ge", "lt", "le")},
}
_OTHER_SIGN = {**_UNSIGNED, **{after: before for before, after in _UNSIGNED.items()}}
_SIGNED = re.compile(rf"(?<== )(?P<op>{'|'.join(_OTHER_SIGN).replace(' ', '(?: samesign)? ')})(?: nneg)?(?= )")
_SHUFFLE = re.compile(r"^(?P<head>  \S+ = shufflevector [^\n]* x i32> <)(?P<mask>[^<>\n]*)(?=>)", re.MULTILINE)
_EXTRACT = re.compile(
    r"(?<== )(?P<head>extractelement <(?P<lanes>\d+) x [^\n]*?, i(?:32|64) )(?P<lane>\d+)(?=,|$)", re.M
)
_SELECT = re.compile(
    rf"^(?P<head>  \S+ = select [^,\n]+, ){_TYPE} (?P<first>.+?), (?P=type) (?P<second>.+?){_REMARKS}", re.MULTILINE
)


def _multiply_add(match: re.Match[str], parameters: Parameters) -> str | None:
    result, kind, suffix, remarks = (match[name] for name in ("result", "type", "suffix", "remarks"))
    if parameters["to"] == "fused":
        arguments = ", ".join(f"{kind} {match[name]}" for name in "abc")
        return f"  {result} = tail call {match['flags']}{kind} @llvm.fma.{suffix}({arguments}){remarks}"
    product, fenced = f"%product.{result[1:]}", f"%fenced.{result[1:]}"
    # TVM has LLVM fuse whatever can be fused, but nothing beyond a fence.
    return (
        f"  {product} = fmul {match['flags']}{kind} {match['a']}, {match['b']}{remarks}\n"
        f"  {fenced} = tail call {kind} @llvm.arithmetic.fence.{suffix}({kind} {product}){remarks}\n"
        f"  {result} = fadd {match['flags']}{kind} {fenced}, {match['c']}{remarks}"
    )


def _other_order(match: re.Match[str], _parameters: Parameters) -> str | None:
    return f"{match['flags']}{'u' if match['order'] == 'o' else 'o'}{match['relation']}"


def _other_sign(match: re.Match[str], _parameters: Parameters) -> str | None:
    return _OTHER_SIGN[match["op"].replace(" samesign", "")]


def _swap_lanes(match: re.Match[str], _parameters: Parameters) -> str | None:
    lanes = match["mask"].split(", ")
    for place in range(len(lanes) - 1):
        first, second = lanes[place : place + 2]
        if first != second and "poison" not in first + second:
            return match["head"] + ", ".join([*lanes[:place], second, first, *lanes[place + 2 :]])
    return None


def _next_lane(match: re.Match[str], _parameters: Parameters) -> str | None:
    return f"{match['head']}{(int(match['lane']) + 1) % int(match['lanes'])}"


def _swap_arms(match: re.Match[str], _parameters: Parameters) -> str | None:
    kind = match["type"]
    return f"{match['head']}{kind} {match['second']}, {kind} {match['first']}{match['remarks']}"


_FOUR = "<4 x float>"
_LOAD = f"%0 = load {_FOUR}, ptr %A, align 4"
_SCALAR = "%0 = load float, ptr %A, align 4"
_INTEGER = "%0 = load i32, ptr %A, align 4"


def _fmuladd(name: str) -> str:
    return f"%1 = tail call {_FOUR} @llvm.{name}.v4f32({_FOUR} %0, {_FOUR} splat (float 2.0), {_FOUR} %0)"


def _example(*lines: str, after: tuple[str, ...], sites: str = "*") -> Example:
    return Example(llvm_kernel(*lines), llvm_kernel(*after), sites=sites, kind="llvm")


LLVM_MULTIPLY_ADD = Operator(
    name="code.llvm-multiply-add",
    fault="a multiply-add that is rounded once on one device and twice on another (contraction; differing "
    "floating-point results between targets, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="rounds a single multiply-add once on all processors, or always twice, where LLVM is free to fuse it",
    rule=TextRule(("llvm",), _MULTIPLY_ADD, _multiply_add),
    parameters=(Parameter("to", "how it is computed", choices=("fused", "separate")),),
    variants=({"to": "fused"}, {"to": "separate"}),
    examples=(
        Example(
            llvm_kernel(_SCALAR, "%1 = tail call float @llvm.fmuladd.f32(float %0, float 2.000000e+00, float %0)"),
            llvm_kernel(
                _SCALAR,
                "%product.1 = fmul float %0, 2.000000e+00",
                "%fenced.1 = tail call float @llvm.arithmetic.fence.f32(float %product.1)",
                "%1 = fadd float %fenced.1, %0",
            )
            + "\ndeclare float @llvm.arithmetic.fence.f32(float)\n",
            {"to": "separate"},
            kind="llvm",
        ),
        Example(
            llvm_kernel(_LOAD, _fmuladd("fmuladd")),
            llvm_kernel(_LOAD, _fmuladd("fma")) + f"\ndeclare {_FOUR} @llvm.fma.v4f32({_FOUR}, {_FOUR}, {_FOUR})\n",
            {"to": "fused"},
            kind="llvm",
        ),
    ),
    by_default=False,
)

NAN_ORDER = Operator(
    name="code.nan-order",
    fault="an ordered comparison generated where an unordered one was meant: they differ for NaN only (incorrect code "
    "logic, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="makes a comparison of floats hold for NaN where it did not, and the other way",
    rule=TextRule(("llvm",), _FLOAT_COMPARISON, _other_order),
    examples=(
        _example(
            _SCALAR,
            "%1 = fcmp ogt float %0, 0.000000e+00",
            "%2 = fcmp nsz ule float %0, 1.000000e+00",
            after=(_SCALAR, "%1 = fcmp ugt float %0, 0.000000e+00", "%2 = fcmp nsz ole float %0, 1.000000e+00"),
        ),
    ),
    by_default=False,
)

SIGNEDNESS = Operator(
    name="code.signedness",
    fault="an integer that is extended, shifted, divided or compared as unsigned although it is signed (incorrect "
    "type conversion, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="takes the integers of one instruction for unsigned where they were signed, and the other way",
    rule=TextRule(("llvm",), _SIGNED, _other_sign),
    examples=(
        _example(
            _INTEGER,
            "%1 = zext nneg i32 %0 to i64",
            "%2 = icmp samesign ult i64 %1, 7",
            "%3 = ashr i32 %0, 1",
            after=(_INTEGER, "%1 = sext i32 %0 to i64", "%2 = icmp slt i64 %1, 7", "%3 = lshr i32 %0, 1"),
        ),
    ),
    undefined_behaviour=True,
    by_default=False,
)

SWAP_LANES = Operator(
    name="code.swap-lanes",
    fault="a shuffle of a vector with two of its lanes exchanged (incorrect index, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="exchanges the first two neighbouring lanes that differ in the mask of a vector shuffle",
    rule=TextRule(("llvm",), _SHUFFLE, _swap_lanes),
    examples=(
        _example(
            _LOAD,
            "%1 = shufflevector <4 x float> %0, <4 x float> poison, <4 x i32> <i32 0, i32 0, i32 2, i32 poison>",
            after=(
                _LOAD,
                "%1 = shufflevector <4 x float> %0, <4 x float> poison, <4 x i32> <i32 0, i32 2, i32 0, i32 poison>",
            ),
        ),
    ),
    by_default=False,
)

WRONG_LANE = Operator(
    name="code.wrong-lane",
    fault="an element taken from the wrong lane of a vector (incorrect index, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="takes an element of a vector from the next lane, from the first where there is no next one",
    rule=TextRule(("llvm",), _EXTRACT, _next_lane),
    examples=(
        _example(
            _LOAD,
            "%1 = extractelement <4 x float> %0, i64 0",
            "%2 = extractelement <4 x float> %0, i64 3",
            after=(_LOAD, "%1 = extractelement <4 x float> %0, i64 1", "%2 = extractelement <4 x float> %0, i64 0"),
        ),
    ),
    # The other lane may hold what was never put there.
    undefined_behaviour=True,
    by_default=False,
)

SWAP_SELECT = Operator(
    name="code.swap-select",
    fault="a conditional move with its condition the wrong way round (incorrect code logic, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="exchanges what an instruction chooses between, be it values or the addresses of padding",
    rule=TextRule(("llvm",), _SELECT, _swap_arms),
    examples=(
        _example(
            _SCALAR,
            "%1 = fcmp ogt float %0, 0.000000e+00",
            "%2 = select i1 %1, float %0, float 0.000000e+00",
            after=(
                _SCALAR,
                "%1 = fcmp ogt float %0, 0.000000e+00",
                "%2 = select i1 %1, float 0.000000e+00, float %0",
            ),
        ),
    ),
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (LLVM_MULTIPLY_ADD, NAN_ORDER, SIGNEDNESS, SWAP_LANES, WRONG_LANE, SWAP_SELECT)
