"""Code Generation: single wrong instructions, expressions and statements in generated code.

The operators on LLVM IR act after LLVM's optimisations: on a target without such instructions the machine code is the
same. The others act on the sources that TVM generates in C, CUDA and OpenCL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import numpy as np

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TextRule
from tvm_mutate.operators.examples import code_examples
from tvm_mutate.operators.parameters import choice

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
_BARRIER = re.compile(r"(?:__syncthreads\(\)|barrier\(CLK_LOCAL_MEM_FENCE\))(?=;)")
_FAST = re.compile(r"(?<![\w.])(?P<name>expf|exp10f|logf|log2f|log10f|sinf|cosf|tanf|powf)(?=\()")
_NATIVE = re.compile(r"(?<![\w.])(?P<name>exp|exp2|exp10|log|log2|log10|sin|cos|tan|sqrt|rsqrt)(?=\()")
_COMPONENT = re.compile(
    r"(?<=[\w\])])(?<!threadIdx)(?<!blockIdx)(?<!blockDim)(?<!gridDim)\.(?P<component>[xyzw]|s[0-7])\b(?!\()"
    # CUDA has no vectors of bytes and packs them into an integer.
    r"|\(reinterpret_cast<const (?:un)?signed char\*>\(&(?P<packed>\(\w+\))\)\[(?P<byte>[0-7])\]\)"
)
_NEIGHBOURS = {"x": "y", "z": "w", "s0": "s1", "s2": "s3", "s4": "s5", "s6": "s7"}
_OTHER_COMPONENT = {**_NEIGHBOURS, **{after: before for before, after in _NEIGHBOURS.items()}}
# TVM writes a CUDA float as hexadecimal bits, followed by the decimal form in a comment.
_LITERAL = re.compile(
    r"(?<![\w.])(?:(?P<bits>-?0x[01](?:\.[0-9a-f]+)?p[+-]\d+)f/\*(?P<shown>[^*]*)\*/|(?P<decimal>\d\.\d+e[+-]\d+)f)"
)
_ASSIGNMENT = re.compile(
    r"^(?P<head> *(?:(?P<type>\w+) )?(?P<name>\w+)(?:\[[^=;\n]*\])? = )\((?P<sum>[^;\n]*)\)(?=;$)", re.MULTILINE
)
# By the first word of a kernel. C and CUDA have fmaf, OpenCL has fma. Compilers never fuse CUDA's __fadd_rn.
_FORMS = {
    "fused": {"TVM_DLL": "fmaf({a}, {b}, {c})", "extern": "fmaf({a}, {b}, {c})", "__kernel": "fma({a}, {b}, {c})"},
    "separate": {"extern": "__fadd_rn({c}, __fmul_rn({a}, {b}))"},
}


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


def _swap_lanes(match: re.Match[str], parameters: Parameters) -> str | None:
    lanes = match["mask"].split(", ")
    if parameters["to"] == "last":
        return match["head"] + ", ".join([lanes[-1]] * len(lanes))
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


def _component(match: re.Match[str], parameters: Parameters) -> str | None:
    to, component = str(parameters["to"]), match["component"]
    if to == "integer":
        return match["packed"]
    if component is not None:
        return f".{_OTHER_COMPONENT[component] if to == 'neighbour' else 's0' if component[0] == 's' else 'x'}"
    other = int(match["byte"]) ^ 1 if to == "neighbour" else 0
    return f"{match[0][:-3]}{other}])"


def _source_multiply_add(match: re.Match[str], parameters: Parameters) -> str | None:
    first_word = re.split(r"\W", match.string.lstrip(), maxsplit=1)[0]
    form = _FORMS[str(parameters["to"])].get(first_word)
    if form is None or not _is_float(match):
        return None
    terms = list(_split(match["sum"], " + "))
    for number, term in enumerate(terms):
        factors = list(_split(term[1:-1], " * ")) if term.startswith("(") and _closes(term) else []
        if len(terms) == len(factors) == 2:
            return match["head"] + form.format(a=factors[0], b=factors[1], c=terms[1 - number])
    return None


def _is_float(match: re.Match[str]) -> bool:
    """Whether the assigned variable is declared as a float32 in the same function."""
    if match["type"]:
        return match["type"] == "float"
    return re.search(rf"\bfloat\b[*\s]*(?:(?:__restrict__|restrict) )?{match['name']}\b", match.string) is not None


def _split(text: str, separator: str) -> Iterator[str]:
    """The parts between the separators outside of brackets."""
    depth = start = 0
    for place, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0 and text.startswith(separator, place):
            yield text[start:place]
            start = place + len(separator)
    yield text[start:]


def _closes(term: str) -> bool:
    """Whether the first bracket of a term is closed by the last character."""
    depth = 0
    for place, character in enumerate(term):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(term) - 1
    return False


def _round_literal(match: re.Match[str], parameters: Parameters) -> str | None:
    digits = int(parameters["digits"])
    exact = np.float32(float.fromhex(match["bits"]) if match["bits"] else float(match["decimal"]))
    if digits < 0:
        return None
    text = f"{exact:.{digits}e}"
    with np.errstate(over="ignore"):
        rounded = np.float32(text)
    return f"{text}f" if rounded != exact and np.isfinite(rounded) else None


_operator = partial(Operator, slots=(Slot.TEXT,), category=Category.CODE_GENERATION, by_default=False)

OPERATORS = (
    _operator(
        name="code.fast-math",
        fault="an instruction that gets fast-math flags without a request (LLVM's fast-math flags; wrong default of "
        "compiler options, Shen et al. 2021)",
        description="allows one floating-point operation a fast-math transformation, such as reassociation or "
        "contraction, after LLVM's optimisations; not every target then has other machine code",
        rule=TextRule(("llvm",), _FAST_MATH, _fast_math),
        **choice("flag", "the fast-math flag", "fast contract arcp nnan", "reassoc ninf nsz afn", default="fast"),
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
        rule=TextRule(("llvm",), _INTEGER_OPERATION, _integer_flag),
        **choice("flag", "the promise", "nsw exact disjoint", "nuw nneg samesign inbounds"),
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
        rule=TextRule(("llvm",), _VECTOR_ACCESS, _over_align),
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
        rule=TextRule(("llvm",), _MULTIPLY_ADD, _multiply_add),
        **choice("to", "how the multiply-add is computed", "fused separate"),
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
        rule=TextRule(("llvm",), _FLOAT_COMPARISON, _nan_order),
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
        rule=TextRule(("llvm",), _SIGNED, _other_sign),
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
        description="exchanges the first two neighbouring lanes that differ in the mask of a vector shuffle, or "
        "repeats the last lane in all",
        rule=TextRule(("llvm",), _SHUFFLE, _swap_lanes),
        parameters=(Parameter("to", "which lanes take the place", "swapped", choices=("swapped", "last")),),
        more_variants=({"to": "last"},),
        examples=code_examples("""
            llvm
            %0 = shufflevector <4 x float> %v, <4 x float> poison, <4 x i32> <i32 0, i32 0, i32 2, i32 poison>
            %0 = shufflevector <4 x float> %v, <4 x float> poison, <4 x i32> <i32 0, i32 2, i32 0, i32 poison>
            llvm | to=last
            %0 = shufflevector <4 x float> %v, <4 x float> poison, <4 x i32> <i32 0, i32 0, i32 2, i32 1>
            %0 = shufflevector <4 x float> %v, <4 x float> poison, <4 x i32> <i32 1, i32 1, i32 1, i32 1>
        """),
    ),
    _operator(
        name="code.wrong-lane",
        fault="an element taken from the wrong lane of a vector (incorrect index, Shen et al. 2021)",
        description="takes an element of a vector from the next lane; the first lane follows the last one",
        rule=TextRule(("llvm",), _EXTRACT, _next_lane),
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
        rule=TextRule(("llvm",), _SELECT, _swap_select),
        examples=code_examples("""
            llvm
            %0 = fcmp ogt float %x, 0.000000e+00; %1 = select i1 %0, float %x, float 0.000000e+00
            %0 = fcmp ogt float %x, 0.000000e+00; %1 = select i1 %0, float 0.000000e+00, float %x
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="code.multiply-add",
        fault="a multiply-add that is rounded once on one device and twice on another (contraction; differing "
        "floating-point results between targets, Shen et al. 2021)",
        description="fuses a multiplication and an addition in the source, so that they are rounded once, or prevents "
        "the compiler from fusing them (in CUDA only)",
        rule=TextRule(("c", "cuda", "opencl"), _ASSIGNMENT, _source_multiply_add),
        **choice("to", "how they are computed", "fused", "separate"),
        examples=code_examples("""
            c | to=fused
            float sum[1]; int at = (i + (j * 4)); sum[0] = (sum[0] + (A[(i + (j * 4))] * B[i]))
            float sum[1]; int at = (i + (j * 4)); sum[0] = fmaf(A[(i + (j * 4))], B[i], sum[0])
            cuda | to=separate
            float sum[1]; int at = (i + (j * 4)); sum[0] = (sum[0] + (A[(i + (j * 4))] * B[i]))
            float sum[1]; int at = (i + (j * 4)); sum[0] = __fadd_rn(sum[0], __fmul_rn(A[(i + (j * 4))], B[i]))
            opencl | to=fused
            float sum[1]; int at = (i + (j * 4)); sum[0] = (sum[0] + (A[(i + (j * 4))] * B[i]))
            float sum[1]; int at = (i + (j * 4)); sum[0] = fma(A[(i + (j * 4))], B[i], sum[0])
        """),
    ),
    _operator(
        name="code.drop-barrier",
        fault="a code generator that omits a barrier, for example for an unknown memory scope (concurrency problems, "
        "Shen et al. 2021)",
        description="removes a barrier between the threads of a block from the source",
        rule=TextRule(("cuda", "opencl"), _BARRIER, lambda _match, _parameters: "/* no barrier */"),
        examples=code_examples("""
            cuda
            __syncthreads()
            /* no barrier */
            opencl
            barrier(CLK_LOCAL_MEM_FENCE)
            /* no barrier */
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="code.fast-function",
        fault="functions of lower accuracy without a request, as with nvcc's --use_fast_math, which TVM passes by "
        "default (incorrect configuration, Shen et al. 2021)",
        description="calls the fast and less accurate version of a mathematical function, such as __expf for expf",
        rule=TextRule(("cuda",), _FAST, lambda match, _parameters: f"__{match['name']}"),
        examples=code_examples("""
            cuda
            B[0] = (expf(A[0]) + __logf(A[1]))
            B[0] = (__expf(A[0]) + __logf(A[1]))
        """),
    ),
    _operator(
        name="code.native-function",
        fault="functions whose accuracy the device decides, as with -cl-fast-relaxed-math (incorrect configuration, "
        "Shen et al. 2021)",
        description="calls the native version of a mathematical function, whose accuracy OpenCL does not define",
        rule=TextRule(("opencl",), _NATIVE, lambda match, _parameters: f"native_{match['name']}"),
        examples=code_examples("""
            opencl
            B[0] = (exp(A[0]) / A[1])
            B[0] = (native_exp(A[0]) / A[1])
        """),
    ),
    _operator(
        name="code.wrong-component",
        fault="the wrong component of a vector in generated source, as from PrintVecElemLoad of TVM's code generators "
        "(incorrect index, Shen et al. 2021)",
        description="takes the neighbouring component of a vector, such as y in place of x, the first component for "
        "all, or all bytes of a packed vector as one integer",
        rule=TextRule(("cuda", "opencl"), _COMPONENT, _component),
        parameters=(Parameter("to", "what takes its place", "neighbour", choices=("neighbour", "first", "integer")),),
        more_variants=({"to": "first"}, {"to": "integer"}),
        examples=code_examples("""
            cuda
            v.x = (w.x*B[((int)threadIdx.x)])
            v.y = (w.y*B[((int)threadIdx.x)])
            opencl
            v.s2 = w.s3
            v.s3 = w.s2
            cuda | to=first
            u.y = (half)(reinterpret_cast<const signed char*>(&(v))[1])
            u.x = (half)(reinterpret_cast<const signed char*>(&(v))[0])
            cuda | to=integer
            u.y = (half)((reinterpret_cast<const signed char*>(&(v))[1]))
            u.y = (half)((v))
        """),
        undefined_behaviour=True,  # the other component may be uninitialised
    ),
    _operator(
        name="code.round-literal",
        fault="constants with too few digits, as in TVM's CodeGenC: six digits after the point where float32 needs "
        "eight (numeric precision, Shen et al. 2021)",
        description="writes a float constant with fewer digits, where its value then changes",
        rule=TextRule(("c", "cuda", "opencl"), _LITERAL, _round_literal),
        parameters=(Parameter("digits", "how many digits after the point", 3),),
        variants=({"digits": 3},),
        more_variants=({"digits": 1}, {"digits": 6}),
        examples=code_examples("""
            c
            B[0] = (A[0] * 1.234567e+00f)
            B[0] = (A[0] * 1.235e+00f)
            cuda | digits=1
            B[0] = (A[0] * 0x1.99999ap-4f/*1.000000e-01*/) + 0x1.5555560p-2f/*3.333333e-01*/
            B[0] = (A[0] * 0x1.99999ap-4f/*1.000000e-01*/) + 3.3e-01f
        """),
    ),
)
