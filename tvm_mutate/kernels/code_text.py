"""Generated code as text, and digests of single kernels: equal code has equal digests in any module."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

import tvm

from tvm_mutate.passes import ENTRY_PREFIX, LLVM_FUNCTION, kernel_parts

# Debug information and comments in LLVM IR. (One pattern that joins all of them takes five times as long.)
_LLVM_NOISE = tuple(
    re.compile(each)
    for each in (r"\n *#dbg_.*", r"\n *; .*", r", !dbg ![0-9]+", r" !dbg ![0-9]+", r"(?<=:) +; preds = .*")
)
_LLVM_LINE = re.compile(r'^(@[\w.$]+|@"[^"]+"|![0-9]+|attributes #[0-9]+) = .*$', re.MULTILINE)
# TVM names the alias classes of buffers by addresses in the compiler: of a whole buffer, or of a part as `.w4.b0`.
_ADDRESS = re.compile(r'!"0x[0-9a-f]+(?:"|(?=\.w))')
_LLVM_NAME = re.compile(r'@[\w.$]+|@"[^"]+"|![0-9]+|#[0-9]+|!"0x[0-9a-f]+(?:"|(?=\.w))')

# A register that no instruction wrote. (A vector that is filled element by element begins as `poison` instead.)
_LLVM_UNDEFINED = re.compile(r"^(?! *#dbg_).*[ \[]undef\b", re.MULTILINE)

_ASSEMBLY_NOISE = (re.compile(r"^\t\.(cfi_|file|ident|loc|globl|size|type|section \.note).*\n", re.MULTILINE),)
_ASSEMBLY_FUNCTION = re.compile(r"^([A-Za-z_][\w.$]*):\n.*?(?=^\t\.size\t\1,)", re.MULTILINE | re.DOTALL)
# The names of gcc (.LC0) and clang (.LCPI0_0, .Lswitch.table.f).
_ASSEMBLY_CONSTANT = re.compile(
    r"^(\.L[\w.$]+):\n(?:\t\.(?:long|quad|value|short|byte|zero|string|ascii|asciz)\t.*\n)+", re.MULTILINE
)
# The comments of clang behind instructions; a string may contain the sign.
_ASSEMBLY_COMMENT = re.compile(r"^(?!\t\.(?:string|asci[iz])\t)([^#\n]*?)[ \t]*#.*$", re.MULTILINE)
_EMPTY_LINE = re.compile(r"^\n", re.MULTILINE)
_ASSEMBLY_NAME = re.compile(r"\.L\w+|(?<![\w.$%])[A-Za-z_][\w.$]*")


class MissingKernelError(LookupError):
    """Generated code has no function with the name by which TVM calls a kernel."""


def generated_text(module: tvm.runtime.Module, kind: str) -> str:
    """The generated code as text: LLVM IR, C, or the device source of a GPU target."""
    if kind == "llvm":
        return _without_addresses(module.inspect_source("ll"))
    if kind == "c":
        return module.inspect_source("c")
    return "\n".join(imported.inspect_source() for imported in module.imports)


def host_text(module: tvm.runtime.Module, kind: str) -> str:
    """The generated host code that launches the kernels of a GPU target, as text; empty for other targets.

    Only host code has the numbers of blocks and threads: kernels with the same device code may still differ.
    """
    if kind in ("llvm", "c"):
        return ""
    return _without_addresses(module.inspect_source("ll" if module.kind == "llvm" else module.kind))


def _without_addresses(text: str) -> str:
    """LLVM IR with ordinals instead of buffer addresses: two builds of one module differ only in these addresses."""
    ordinals: dict[str, str] = {}

    def ordinal(match: re.Match[str]) -> str:
        number = ordinals.setdefault(match[0], str(len(ordinals)))
        return f'!"buffer{number}' + ('"' if match[0].endswith('"') else "")

    return _ADDRESS.sub(ordinal, text)


def text_digest(text: str) -> str:
    """The SHA-256 of generated code."""
    return hashlib.sha256(text.encode()).hexdigest()


def llvm_digests(text: str, kernels: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of each kernel's code in a module of LLVM IR, with everything that its function refers to."""
    entities = {match[1]: match[0] for match in LLVM_FUNCTION.finditer(text)}
    for match in _LLVM_LINE.finditer(text):
        entities[match[1].removeprefix("attributes ")] = match[0]
    return {name: _digest(f"@{ENTRY_PREFIX}{name}", entities, _LLVM_NOISE, _LLVM_NAME) for name in kernels}


def kernels_with_undefined_values(text: str, kernels: Iterable[str]) -> frozenset[str]:
    """The kernels in a module of LLVM IR that use a register to which no value was written.

    Such a kernel computes with the old content of the register, which no pattern in memory shows.
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
    """The SHA-256 of each kernel's C code; the code around the kernels is always the same."""
    parts = kernel_parts(text, "c")
    missing = [name for name in kernels if name not in parts]
    if missing:
        raise MissingKernelError(f"the generated code has no function {missing[0]}")
    return {name: hashlib.sha256("\n".join(parts[name]).encode()).hexdigest() for name in kernels}


def device_digests(text: str, host: str, kind: str, kernels: Iterable[str]) -> dict[str, str] | None:
    """The SHA-256 of each kernel's device functions and of the LLVM IR of the host that starts them.

    None for a kind of code in which this package does not find functions.
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
    """The digest of an entity and everything that it refers to, without noise, each named by order of appearance.

    The numbers of labels, constants and metadata depend on the rest of the module, so they do not count. Raises
    MissingKernelError if there is no such entity.
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
    for name in waiting:  # the list grows during the loop
        text = entities[name]
        for noise in noises:
            text = noise.sub("", text)
        content.update(names.sub(ordinal, text).encode())
    return content.hexdigest()
