"""Keys of values: what a value is calculated by and from, so that nothing is calculated twice."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xxhash

from tvm_mutate.program import Program, View

Key = bytes
KEY_BYTES = 16


def call_key(digest: str, arguments: Sequence[Key | None], position: int) -> Key:
    """The key of the ``position``-th result of a kernel with this code digest on values with these keys."""
    content = hashlib.blake2b(digest.encode(), digest_size=KEY_BYTES)
    for key in arguments:
        content.update(b"|" + (key or b""))
    content.update(b"#%d" % position)
    return content.digest()


def value_keys(program: Program, digests: Mapping[str, str], constants: ConstantKeys) -> list[Key | None]:
    """The key of every value of a program, by number: ``H(kernel code, keys of its inputs)``.

    Inputs are keyed by their position, because values are only ever compared for one input at a time; constants by
    their bytes; a view has its argument's key. None for a value that nothing writes.
    """
    keys: list[Key | None] = [None] * len(program.types)
    for position, number in enumerate(program.inputs):
        keys[number] = b"input %d" % position
    for number, tensor in program.constants.items():
        keys[number] = constants.of(tensor)
    for step in program.steps:
        if isinstance(step, View):
            keys[step.result] = keys[step.argument]
        else:
            for position, result in enumerate(step.results):
                keys[result] = call_key(digests[step.kernel], [keys[each] for each in step.arguments], position)
    return keys


def content_key(array: np.ndarray) -> Key:
    """A key made of an array's bytes: 128 bits of xxHash, so that equal keys mean equal bytes."""
    return xxhash.xxh3_128_digest(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


class ConstantKeys:
    """Keys of constants by their bytes, each calculated once: programs of one model share their weights.

    Those of ``shared`` are known already.
    """

    def __init__(self, shared: ConstantKeys | None = None) -> None:
        self._known: ChainMap[int, tuple[Any, Key]] = ChainMap({}, *(shared._known.maps if shared else ()))

    def of(self, tensor: Any) -> Key:
        """The key of a constant tensor."""
        array = tensor.numpy() if not hasattr(tensor, "__dlpack__") else np.from_dlpack(tensor)
        address = array.__array_interface__["data"][0]
        if address not in self._known:
            key = content_key(array) + f"{array.dtype}{array.shape}".encode()
            self._known[address] = (tensor, key)  # the tensor is kept, so that its address stays its own
        return self._known[address][1]
