"""Code Generation: instructions of LLVM IR selected wrongly, or with flags that promise too much, one by one.

The operators act after LLVM's optimisations. On a target without such instructions the machine code is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TextRule
from tvm_mutate.operators.examples import code_examples

_FAST_MATH_FLAGS = ("fast", "reassoc", "contract", "arcp", "nnan", "ninf", "nsz", "afn")
_ANY_FAST_MATH = "|".join(_FAST_MATH_FLAGS)
_FAST_MATH = re.compile(
    rf"(?<== )(?P<op>fadd|fsub|fmul|fdiv|fneg|fcmp|(?:tail )?call)(?P<flags>(?: (?:{_ANY_FAST_MATH}))*)"
    r"(?= (?:[ou]\w\w )?(?:<\d+ x )?(?:half|float|double)\b)"
)
_FLAGGED = {
    "nsw": ("add", "sub", "mul", "shl"),
    "nuw": ("add", "sub", "mul", "shl"),
    "exact": ("lshr", "ashr", "sdiv", "udiv"),
    "disjoint": ("or",),
    "nneg": ("zext", "uitofp"),
    "samesign": ("icmp",),
    "inbounds": ("getelementptr",),
}
_INTEGER_OPERATION = re.compile(
    rf"(?<== )(?P<op>{'|'.join(dict.fromkeys(op for ops in _FLAGGED.values() for op in ops))})"
    rf"(?P<flags>(?: (?:nusw|{'|'.join(_FLAGGED)}))*)(?= )"
)
_VECTOR_ACCESS = re.compile(
    r"^(?P<access>  (?:\S+ = load <|store <)[^\n]*, align )(?P<alignment>\d+)(?=,|$)", re.MULTILINE
)
_FLAGS = rf"(?P<flags>(?:(?:{_ANY_FAST_MATH}) )*)"
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


def _fast_math(match: re.Match[str], parameters: Parameters) -> str | None:
    flag, flags = str(parameters["flag"]), match["flags"].split()
    if flag in flags or "fast" in flags:
        return None
    return " ".join([match["op"], flag, *([] if flag == "fast" else flags)])


def _integer_flag(match: re.Match[str], parameters: Parameters) -> str | None:
    flag = str(parameters["flag"])
    if match["op"] not in _FLAGGED[flag] or flag in match["flags"].split():
        return None
    return f"{match['op']} {flag}{match['flags']}"


def _over_align(match: re.Match[str], parameters: Parameters) -> str | None:
    wanted = int(parameters["to"])
    if wanted < 1 or wanted & (wanted - 1) or wanted <= int(match["alignment"]):
        return None
    return f"{match['access']}{wanted}"


def _multiply_add(match: re.Match[str], parameters: Parameters) -> str:
    result, kind, suffix, remarks = (match[name] for name in ("result", "type", "suffix", "remarks"))
    if parameters["to"] == "fused":
        arguments = ", ".join(f"{kind} {match[name]}" for name in "abc")
        return f"  {result} = tail call {match['flags']}{kind} @llvm.fma.{suffix}({arguments}){remarks}"
    product, fenced = f"%product.{result[1:]}", f"%fenced.{result[1:]}"
    # TVM lets LLVM fuse every multiply-add; a fence prevents the fusion.
    return (
        f"  {product} = fmul {match['flags']}{kind} {match['a']}, {match['b']}{remarks}\n"
        f"  {fenced} = tail call {kind} @llvm.arithmetic.fence.{suffix}({kind} {product}){remarks}\n"
        f"  {result} = fadd {match['flags']}{kind} {fenced}, {match['c']}{remarks}"
    )


def _nan_order(match: re.Match[str], _parameters: Parameters) -> str:
    return f"{match['flags']}{'u' if match['order'] == 'o' else 'o'}{match['relation']}"


def _other_sign(match: re.Match[str], _parameters: Parameters) -> str:
    return _OTHER_SIGN[match["op"].replace(" samesign", "")]


def _swap_lanes(match: re.Match[str], _parameters: Parameters) -> str | None:
    lanes = match["mask"].split(", ")
    for place in range(len(lanes) - 1):
        first, second = lanes[place : place + 2]
        if first != second and "poison" not in first + second:
            return match["head"] + ", ".join([*lanes[:place], second, first, *lanes[place + 2 :]])
    return None


def _next_lane(match: re.Match[str], _parameters: Parameters) -> str:
    return f"{match['head']}{(int(match['lane']) + 1) % int(match['lanes'])}"


def _swap_select(match: re.Match[str], _parameters: Parameters) -> str:
    kind = match["type"]
    return f"{match['head']}{kind} {match['second']}, {kind} {match['first']}{match['remarks']}"


def _rule(pattern: re.Pattern[str], rewrite: Callable[[re.Match[str], Parameters], str | None]) -> TextRule:
    return TextRule(("llvm",), pattern, rewrite)


_operator = partial(Operator, slots=(Slot.TEXT,), category=Category.CODE_GENERATION, by_default=False)

OPERATORS = (
    _operator(
        name="code.fast-math",
        fault="an instruction that gets fast-math flags without a request (LLVM's fast-math flags; wrong default of "
        "compiler options, Shen et al. 2021)",
        description="allows one floating-point operation a fast-math transformation, such as reassociation or "
        "contraction, after LLVM's optimisations; not every target then has other machine code",
        rule=_rule(_FAST_MATH, _fast_math),
        parameters=(Parameter("flag", "the fast-math flag", "fast", choices=_FAST_MATH_FLAGS),),
        variants=({"flag": "fast"}, {"flag": "contract"}, {"flag": "arcp"}, {"flag": "nnan"}),
        more_variants=({"flag": "reassoc"}, {"flag": "ninf"}, {"flag": "nsz"}, {"flag": "afn"}),
        examples=code_examples("""
            llvm | sites=0
            %0 = fmul float %x, %x; %1 = fadd float %0, %x
            %0 = fmul fast float %x, %x; %1 = fadd float %0, %x
            llvm | flag=nnan
            %0 = fcmp nsz ogt <4 x float> %v, zeroinitializer
            %0 = fcmp nnan nsz ogt <4 x float> %v, zeroinitializer
        """),
    ),
    _operator(
        name="code.integer-flag",
        fault="an optimisation that keeps a flag although the instruction now computes something else, or adds a flag "
        "after a wrong proof: overflow becomes poison (Lee et al., Taming Undefined Behavior in LLVM, PLDI 2017)",
        description="adds a promise to an integer operation or an address, for example that there is no overflow; the "
        "promise may be false",
        rule=_rule(_INTEGER_OPERATION, _integer_flag),
        parameters=(Parameter("flag", "the promise", choices=tuple(_FLAGGED)),),
        variants=({"flag": "nsw"}, {"flag": "exact"}, {"flag": "disjoint"}),
        more_variants=({"flag": "nuw"}, {"flag": "nneg"}, {"flag": "samesign"}, {"flag": "inbounds"}),
        examples=code_examples("""
            llvm | flag=nsw
            %0 = add nuw i32 %n, 1; %1 = lshr i32 %0, 2
            %0 = add nsw nuw i32 %n, 1; %1 = lshr i32 %0, 2
            llvm | flag=exact
            %0 = lshr i32 %n, 2; %1 = or i32 %0, 1
            %0 = lshr exact i32 %n, 2; %1 = or i32 %0, 1
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="code.over-align",
        fault="a vector access with a larger alignment than its address has, as from TVM's "
        "CodeGenLLVM::GetAlignment (memory problems, Shen et al. 2021)",
        description="loads or stores a vector with a larger alignment than its address has: processors may fault",
        rule=_rule(_VECTOR_ACCESS, _over_align),
        parameters=(Parameter("to", "the alignment in bytes, a power of two", 64),),
        variants=({"to": 64},),
        more_variants=({"to": 16},),
        examples=code_examples("""
            llvm
            %0 = load <4 x float>, ptr %A, align 4; store <4 x float> %0, ptr %A, align 64, !tbaa !1
            %0 = load <4 x float>, ptr %A, align 64; store <4 x float> %0, ptr %A, align 64, !tbaa !1
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="code.llvm-multiply-add",
        fault="a multiply-add that is rounded once on one device and twice on another (contraction; differing "
        "floating-point results between targets, Shen et al. 2021)",
        description="rounds a multiply-add once on all processors, or always twice, where LLVM may choose",
        rule=_rule(_MULTIPLY_ADD, _multiply_add),
        parameters=(Parameter("to", "how the multiply-add is computed", choices=("fused", "separate")),),
        variants=({"to": "fused"}, {"to": "separate"}),
        examples=code_examples("""
            llvm | to=separate
            %0 = tail call float @llvm.fmuladd.f32(float %x, float 2.000000e+00, float %x)
            %product.0 = fmul float %x, 2.000000e+00; \
            %fenced.0 = tail call float @llvm.arithmetic.fence.f32(float %product.0); %0 = fadd float %fenced.0, %x; \
            declare float @llvm.arithmetic.fence.f32(float)
            llvm | to=fused
            %0 = call <4 x float> @llvm.fmuladd.v4f32(<4 x float> %v, <4 x float> splat (float 2.0), <4 x float> %v)
            %0 = tail call <4 x float> @llvm.fma.v4f32(<4 x float> %v, <4 x float> splat (float 2.0), <4 x float> %v); \
            declare <4 x float> @llvm.fma.v4f32(<4 x float>, <4 x float>, <4 x float>)
        """),
    ),
    _operator(
        name="code.nan-order",
        fault="an ordered comparison in place of an unordered one: they differ for NaN only (incorrect code logic, "
        "Shen et al. 2021)",
        description="makes a floating-point comparison that is false for NaN true for NaN, and the reverse",
        rule=_rule(_FLOAT_COMPARISON, _nan_order),
        examples=code_examples("""
            llvm
            %0 = fcmp ogt float %x, 0.000000e+00; %1 = fcmp nsz ule float %x, 1.000000e+00
            %0 = fcmp ugt float %x, 0.000000e+00; %1 = fcmp nsz ole float %x, 1.000000e+00
        """),
    ),
    _operator(
        name="code.signedness",
        fault="a signed integer that is extended, shifted, divided or compared as unsigned (incorrect type "
        "conversion, Shen et al. 2021)",
        description="takes the signed integers of one instruction as unsigned, and the reverse",
        rule=_rule(_SIGNED, _other_sign),
        examples=code_examples("""
            llvm
            %0 = zext nneg i32 %n to i64; %1 = icmp samesign ult i64 %0, 7; %2 = ashr i32 %n, 1
            %0 = sext i32 %n to i64; %1 = icmp slt i64 %0, 7; %2 = lshr i32 %n, 1
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="code.swap-lanes",
        fault="a shuffle of a vector with two of its lanes exchanged (incorrect index, Shen et al. 2021)",
        description="exchanges the first two neighbouring lanes that differ in the mask of a vector shuffle",
        rule=_rule(_SHUFFLE, _swap_lanes),
        examples=code_examples("""
            llvm
            %0 = shufflevector <4 x float> %v, <4 x float> poison, <4 x i32> <i32 0, i32 0, i32 2, i32 poison>
            %0 = shufflevector <4 x float> %v, <4 x float> poison, <4 x i32> <i32 0, i32 2, i32 0, i32 poison>
        """),
    ),
    _operator(
        name="code.wrong-lane",
        fault="an element taken from the wrong lane of a vector (incorrect index, Shen et al. 2021)",
        description="takes an element of a vector from the next lane; the first lane follows the last one",
        rule=_rule(_EXTRACT, _next_lane),
        examples=code_examples("""
            llvm
            %0 = extractelement <4 x float> %v, i64 0; %1 = extractelement <4 x float> %v, i64 3
            %0 = extractelement <4 x float> %v, i64 1; %1 = extractelement <4 x float> %v, i64 0
        """),
        undefined_behaviour=True,  # the other lane may be uninitialised
    ),
    _operator(
        name="code.swap-select",
        fault="a conditional move with its condition inverted (incorrect code logic, Shen et al. 2021)",
        description="exchanges the two values of a select instruction, which may be addresses of padding",
        rule=_rule(_SELECT, _swap_select),
        examples=code_examples("""
            llvm
            %0 = fcmp ogt float %x, 0.000000e+00; %1 = select i1 %0, float %x, float 0.000000e+00
            %0 = fcmp ogt float %x, 0.000000e+00; %1 = select i1 %0, float 0.000000e+00, float %x
        """),
        undefined_behaviour=True,
    ),
)
