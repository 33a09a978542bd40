"""Code Generation: what instructions of LLVM IR promise (fast-math, no overflow, alignment), where it is not so."""

from __future__ import annotations

import re

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TextRule
from tvm_mutate.operators.code_examples import llvm_kernel

FAST_MATH_FLAGS = ("fast", "reassoc", "contract", "arcp", "nnan", "ninf", "nsz", "afn")
_FAST_MATH = re.compile(
    r"(?<== )(?P<op>fadd|fsub|fmul|fdiv|fneg|fcmp|(?:tail )?call)"
    rf"(?P<flags>(?: (?:{'|'.join(FAST_MATH_FLAGS)}))*)"
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
_INTEGER = re.compile(
    rf"(?<== )(?P<op>{'|'.join(dict.fromkeys(op for ops in _FLAGGED.values() for op in ops))})"
    rf"(?P<flags>(?: (?:nusw|{'|'.join(_FLAGGED)}))*)(?= )"
)
_VECTOR_ACCESS = re.compile(
    r"^(?P<access>  (?:\S+ = load <|store <)[^\n]*, align )(?P<alignment>\d+)(?=,|$)", re.MULTILINE
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


def _align(match: re.Match[str], parameters: Parameters) -> str | None:
    wanted = int(parameters["to"])
    if wanted < 1 or wanted & (wanted - 1) or wanted <= int(match["alignment"]):
        return None
    return f"{match['access']}{wanted}"


FAST_MATH = Operator(
    name="code.fast-math",
    fault="an instruction that gets fast-math flags which nobody asked for (LLVM's fast-math flags; wrong default of "
    "compiler options, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="allows one operation on floats a liberty of fast-math, such as to be reassociated or contracted, "
    "after LLVM's optimisations; on a target without such instructions the machine code is the same",
    rule=TextRule(("llvm",), _FAST_MATH, _fast_math),
    parameters=(Parameter("flag", "the liberty that is allowed", "fast", choices=FAST_MATH_FLAGS),),
    variants=({"flag": "fast"}, {"flag": "contract"}, {"flag": "arcp"}, {"flag": "nnan"}),
    more_variants=({"flag": "reassoc"}, {"flag": "ninf"}, {"flag": "nsz"}, {"flag": "afn"}),
    examples=(
        Example(
            llvm_kernel("%0 = load float, ptr %A, align 4", "%1 = fmul float %0, %0", "%2 = fadd float %1, %0"),
            llvm_kernel("%0 = load float, ptr %A, align 4", "%1 = fmul fast float %0, %0", "%2 = fadd float %1, %0"),
            sites="0",
            kind="llvm",
        ),
        Example(
            llvm_kernel("%0 = load <4 x float>, ptr %A, align 4", "%1 = fcmp nsz ogt <4 x float> %0, zeroinitializer"),
            llvm_kernel(
                "%0 = load <4 x float>, ptr %A, align 4", "%1 = fcmp nnan nsz ogt <4 x float> %0, zeroinitializer"
            ),
            {"flag": "nnan"},
            kind="llvm",
        ),
    ),
    by_default=False,
)

INTEGER_FLAG = Operator(
    name="code.integer-flag",
    fault="a flag that an optimisation keeps although it has changed what the instruction computes, or adds on a wrong "
    "proof: overflows become poison (Lee et al., Taming Undefined Behavior in LLVM, PLDI 2017)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="promises of an integer operation or an address what need not hold, such as that it does not overflow "
    "or stays inside of a buffer",
    rule=TextRule(("llvm",), _INTEGER, _integer_flag),
    parameters=(Parameter("flag", "the promise", choices=tuple(_FLAGGED)),),
    variants=({"flag": "nsw"}, {"flag": "exact"}, {"flag": "disjoint"}),
    more_variants=({"flag": "nuw"}, {"flag": "nneg"}, {"flag": "samesign"}, {"flag": "inbounds"}),
    examples=(
        Example(
            llvm_kernel("%0 = load i32, ptr %A, align 4", "%1 = add nuw i32 %0, 1", "%2 = lshr i32 %1, 2"),
            llvm_kernel("%0 = load i32, ptr %A, align 4", "%1 = add nsw nuw i32 %0, 1", "%2 = lshr i32 %1, 2"),
            {"flag": "nsw"},
            kind="llvm",
        ),
        Example(
            llvm_kernel("%0 = load i32, ptr %A, align 4", "%1 = lshr i32 %0, 2", "%2 = or i32 %1, 1"),
            llvm_kernel("%0 = load i32, ptr %A, align 4", "%1 = lshr exact i32 %0, 2", "%2 = or i32 %1, 1"),
            {"flag": "exact"},
            kind="llvm",
        ),
    ),
    undefined_behaviour=True,
    by_default=False,
)

OVER_ALIGN = Operator(
    name="code.over-align",
    fault="a vector access for which a larger alignment is assumed than its address has, as of TVM's "
    "CodeGenLLVM::GetAlignment (memory problems, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="loads or stores a vector as if its address were aligned further: processors may refuse with a crash",
    rule=TextRule(("llvm",), _VECTOR_ACCESS, _align),
    parameters=(Parameter("to", "the alignment in bytes, a power of two", 64),),
    variants=({"to": 64},),
    more_variants=({"to": 16},),
    examples=(
        Example(
            llvm_kernel("%0 = load <4 x float>, ptr %A, align 4", "store <4 x float> %0, ptr %A, align 64, !tbaa !1"),
            llvm_kernel("%0 = load <4 x float>, ptr %A, align 64", "store <4 x float> %0, ptr %A, align 64, !tbaa !1"),
            kind="llvm",
        ),
    ),
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (FAST_MATH, INTEGER_FLAG, OVER_ALIGN)
