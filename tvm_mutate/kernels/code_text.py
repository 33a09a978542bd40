"""Generated code of single kernels out of a module of many, as text that is equal for equal code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from tvm_mutate.passes import ENTRY_PREFIX, LLVM_FUNCTION, kernel_parts

# LLVM IR: where instructions come from is told beside them, and does not decide what they do.
# (One pattern for each, that begins as it says: all in one take five times as long.)
_LLVM_NOISE = tuple(
    re.compile(each)
    for each in (r"\n *#dbg_.*", r"\n *; .*", r", !dbg ![0-9]+", r" !dbg ![0-9]+", r"(?<=:) +; preds = .*")
)
_LLVM_LINE = re.compile(r'^(@[\w.$]+|@"[^"]+"|![0-9]+|attributes #[0-9]+) = .*$', re.MULTILINE)
# TVM names the alias classes of local buffers by where its compiler happened to allocate them.
_LLVM_NAME = re.compile(r'@[\w.$]+|@"[^"]+"|![0-9]+|#[0-9]+|!"0x[0-9a-f]+"')

# A value of a register that nothing wrote. (Vectors that are about to be filled begin as `poison`, which is no such.)
_LLVM_UNDEFINED = re.compile(r"^(?! *#dbg_).*[ \[]undef\b", re.MULTILINE)

_ASSEMBLY_NOISE = (re.compile(r"^\t\.(cfi_|file|ident|loc|globl|size|type|section \.note).*\n", re.MULTILINE),)
_ASSEMBLY_FUNCTION = re.compile(r"^([A-Za-z_][\w.$]*):\n.*?(?=^\t\.size\t\1,)", re.MULTILINE | re.DOTALL)
# Of gcc (.LC0) and clang (.LCPI0_0, .Lswitch.table.f).
_ASSEMBLY_CONSTANT = re.compile(
    r"^(\.L[\w.$]+):\n(?:\t\.(?:long|quad|value|short|byte|zero|string|ascii|asciz)\t.*\n)+", re.MULTILINE
)
# What clang writes beside instructions; a string may hold the sign.
_ASSEMBLY_COMMENT = re.compile(r"^(?!\t\.(?:string|asci[iz])\t)([^#\n]*?)[ \t]*#.*$", re.MULTILINE)
_EMPTY_LINE = re.compile(r"^\n", re.MULTILINE)
_ASSEMBLY_NAME = re.compile(r"\.L\w+|(?<![\w.$%])[A-Za-z_][\w.$]*")


class MissingKernelError(LookupError):
    """Generated code has no function for a kernel under the name that TVM calls it by."""


def llvm_digests(text: str, kernels: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of each kernel's code in a module of LLVM IR, with all that its function refers to."""
    entities = {match[1]: match[0] for match in LLVM_FUNCTION.finditer(text)}
    for match in _LLVM_LINE.finditer(text):
        entities[match[1].removeprefix("attributes ")] = match[0]
    return {name: _digest(f"@{ENTRY_PREFIX}{name}", entities, _LLVM_NOISE, _LLVM_NAME) for name in kernels}


def kernels_with_undefined_values(text: str, kernels: Iterable[str]) -> frozenset[str]:
    """The kernels in a module of LLVM IR that use a value which was never written, and that LLVM keeps in a register.

    What such a kernel computes is whatever the register held: no pattern in memory shows it.
    """
    if " undef" not in text:
        return frozenset()
    parts = kernel_parts(text, "llvm")
    return frozenset(name for name in kernels if any(map(_LLVM_UNDEFINED.search, parts.get(name, ()))))


def assembly_digests(text: str, kernels: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of each kernel's code in a GNU assembler file of x86-64, with its constants."""
    text = _EMPTY_LINE.sub("", _ASSEMBLY_COMMENT.sub(r"\1", text))
    entities = {match[1]: match[0] for match in _ASSEMBLY_CONSTANT.finditer(text)}
    for match in _ASSEMBLY_FUNCTION.finditer(text):
        entities[match[1]] = match[0]
    return {name: _digest(f"{ENTRY_PREFIX}{name}", entities, _ASSEMBLY_NOISE, _ASSEMBLY_NAME) for name in kernels}


def source_digests(text: str, kernels: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of each kernel's C text: what stands beside the kernels is the same for all."""
    parts = kernel_parts(text, "c")
    missing = [name for name in kernels if name not in parts]
    if missing:
        raise MissingKernelError(f"the generated code has no function {missing[0]}")
    return {name: hashlib.sha256("\n".join(parts[name]).encode()).hexdigest() for name in kernels}


def device_digests(text: str, host: str, kind: str, kernels: Iterable[str]) -> dict[str, str] | None:
    """The SHA-256 of each kernel's device functions and of the host's LLVM IR that starts them.

    None for a kind of code of which it is not known where its functions are.
    """
    parts = kernel_parts(text, kind)
    if not parts:
        return None
    digests = llvm_digests(host, kernels)
    for name in digests:
        own = re.compile(rf"{re.escape(name)}_kernel(_\d+)?")
        code = [part for each, texts in parts.items() if own.fullmatch(each) for part in texts]
        digests[name] = hashlib.sha256("\n".join([digests[name], *code]).encode()).hexdigest()
    return digests


def _digest(root: str, entities: Mapping[str, str], noises: Iterable[re.Pattern[str]], names: re.Pattern[str]) -> str:
    """The digest of an entity and all that it refers to, without noise, each named by the order in which it is met.

    Numbers of labels, constants and metadata are counted through a whole module: they tell what else is in it. Raises
    MissingKernelError where there is no such entity.
    """
    if root not in entities:
        raise MissingKernelError(f"the generated code has no function {root}")
    ordinals: dict[str, str] = {}
    waiting = [root]

    def ordinal(match: re.Match[str]) -> str:
        name = match[0]
        if name not in ordinals:
            known = name in entities
            ordinals[name] = f"<{len(ordinals)}>" if known or name.startswith((".L", '!"0x')) else name
            if known and name != root:
                waiting.append(name)
        return ordinals[name]

    content = hashlib.sha256()
    for name in waiting:  # grows while it is walked through
        text = entities[name]
        for noise in noises:
            text = noise.sub("", text)
        content.update(names.sub(ordinal, text).encode())
    return content.hexdigest()
