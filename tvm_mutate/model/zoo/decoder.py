"""The zoo's language model: a decoder of two layers over characters, with its cache of keys and values as tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.frontend import nn
from tvm.relax.frontend.nn import op

from tvm_mutate.scenario import Call, Scenario

# benchmarks/train_decoder.py trains with these.
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
WIDTH = 64
HEADS = 4
HIDDEN = 192
LAYERS = 2
ROTARY_BASE = 1000.0
EPSILON = 1e-5
# The shapes of the functions of ``decoder_module``.
PROMPT = 16
CACHE = 32
_RESULTS = ("logits", "token", "position", "keys", "values")
# Reads a prompt and writes nine characters, the likeliest each time.
GREEDY = Scenario((Call("prefill", _RESULTS), Call("decode", _RESULTS, repeat=8)), returns=("logits", "token"))
# The keys and values that a layer has before a call, and what puts new ones into them.
Past = tuple[nn.Tensor | None, nn.Tensor | None]
Write = Callable[[nn.Tensor, nn.Tensor | None], nn.Tensor]


def encode(text: str) -> np.ndarray:
    """The tokens of a text, int32, one for each character of ``CHARACTERS``; other characters are left out."""
    numbers = {character: number for number, character in enumerate(CHARACTERS)}
    return np.array([numbers[each] for each in text if each in numbers], np.int32)


def decode_text(tokens: np.ndarray) -> str:
    """The text of tokens."""
    return "".join(CHARACTERS[each] for each in tokens)


def decoder_module(weights: Mapping[str, np.ndarray]) -> tvm.IRModule:
    """The decoder as a Relax module with its weights as constants and two functions, both of static shape.

    * ``prefill(tokens)`` reads a prompt, int32 [1, 16].
    * ``decode(token, position, keys, values)`` reads one more token, int32 [1, 1], at ``position``, int32 [1].

    Both return ``(logits, token, position, keys, values)``: the logits of the next token, float32 [1, 96], the
    token with the highest logit, the position of that token, and the keys and values of all tokens so far, float32
    [2, 4, 32, 16] (layer, head, position, width). So the last four are the arguments of the next ``decode``.
    """
    state = nn.spec.Tensor((LAYERS, HEADS, CACHE, WIDTH // HEADS), "float32")
    position = nn.spec.Tensor((1,), "int32")
    token = nn.spec.Tensor((1, 1), "int32")
    module, parameters = Decoder().export_tvm(
        {
            "prefill": {"tokens": nn.spec.Tensor((1, PROMPT), "int32")},
            "decode": {"token": token, "position": position, "keys": state, "values": state},
        }
    )
    constants = {name: weights[name].astype(np.float32) for name, _ in parameters}
    for function in ("prefill", "decode"):
        module = relax.transform.BindParams(function, constants)(module)
    return module


class Decoder(nn.Module):
    """Embedding, layers, norm, and as head the embedding again."""

    def __init__(self) -> None:
        self.embedding = nn.Embedding(len(CHARACTERS), WIDTH)
        self.layers = nn.ModuleList([Layer() for _ in range(LAYERS)])
        self.norm = nn.RMSNorm(WIDTH, -1, EPSILON, bias=False)
        self.slots = np.arange(CACHE, dtype=np.int32)

    def prefill(self, tokens: nn.Tensor) -> tuple[nn.Tensor, ...]:
        """Reads a prompt; see ``decoder_module``."""
        length = tokens.shape[1]
        padding = [0, 0, 0, 0, 0, len(self.slots) - length, 0, 0]
        following = _constant(np.array([length], np.int32))
        positions = _constant(np.arange(length, dtype=np.int32))
        nothing = [(None, None)] * LAYERS
        return self._read(tokens, positions, following, nothing, lambda new, _: op.pad(new, padding))

    def decode(
        self, token: nn.Tensor, position: nn.Tensor, keys: nn.Tensor, values: nn.Tensor
    ) -> tuple[nn.Tensor, ...]:
        """Reads one more token; see ``decoder_module``."""
        here = op.equal(op.reshape(_constant(self.slots), [-1, 1]), position)
        following = position + _constant(np.array([1], np.int32))
        pasts = list(zip(op.split(keys, LAYERS, axis=0), op.split(values, LAYERS, axis=0), strict=True))
        return self._read(token, position, following, pasts, lambda new, past: op.where(here, new, past))

    def _read(
        self, tokens: nn.Tensor, positions: nn.Tensor, following: nn.Tensor, pasts: list[Past], write: Write
    ) -> tuple[nn.Tensor, ...]:
        frequencies = ROTARY_BASE ** -np.linspace(0, 1, WIDTH // HEADS // 2, endpoint=False)
        at = op.reshape(positions, [-1, 1])
        angles = op.astype(at, "float32") * _constant(frequencies.astype(np.float32))
        turn = _wrapped(relax.op.cos, angles), _wrapped(relax.op.sin, angles)
        visible = op.less_equal(_constant(self.slots), at)
        # nn.Embedding reads outside the table for a token outside the vocabulary.
        x = _wrapped(relax.op.take, self.embedding.weight, tokens, axis=0, mode="clip")
        kept = []
        for layer, past in zip(self.layers, pasts, strict=True):
            x, state = layer(x, turn, visible, past, write)
            kept.append(state)
        keys, values = (op.concat(list(each), dim=0) for each in zip(*kept, strict=True))
        last = _wrapped(relax.op.strided_slice, x, axes=[1], begin=[x.shape[1] - 1], end=[x.shape[1]])
        head = op.permute_dims(self.embedding.weight)
        logits = op.reshape(op.matmul(self.norm(last), head), [1, len(CHARACTERS)])
        token = op.astype(_wrapped(relax.op.argmax, logits, axis=-1, keepdims=True), "int32")
        return logits, token, following, keys, values


class Layer(nn.Module):
    """Attention with rotary positions (RoFormer, arXiv 2104.09864) and a gated feed-forward part (arXiv 2002.05202)."""

    def __init__(self) -> None:
        self.attention_norm = nn.RMSNorm(WIDTH, -1, EPSILON, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attention_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.feed_norm = nn.RMSNorm(WIDTH, -1, EPSILON, bias=False)
        self.gate_up = nn.Linear(WIDTH, 2 * HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(
        self, x: nn.Tensor, turn: tuple[nn.Tensor, nn.Tensor], visible: nn.Tensor, past: Past, write: Write
    ) -> tuple[nn.Tensor, Past]:
        """The layer's result [1, T, width], and its keys and values in the cache."""
        length = x.shape[1]
        qkv = op.reshape(self.qkv(self.attention_norm(x)), [1, length, 3 * HEADS, WIDTH // HEADS])
        query, key, value = op.split(op.permute_dims(qkv, [0, 2, 1, 3]), 3, axis=1)
        keys, values = write(_turned(key, turn), past[0]), write(value, past[1])
        scores = op.matmul(_turned(query, turn), op.permute_dims(keys, [0, 1, 3, 2])) / math.sqrt(WIDTH // HEADS)
        hidden = _constant(np.float32(-1e9))
        seen = op.matmul(op.softmax(op.where(visible, scores, hidden), axis=-1), values)
        x = x + self.attention_out(op.reshape(op.permute_dims(seen, [0, 2, 1, 3]), [1, length, WIDTH]))
        gate, up = op.split(self.gate_up(self.feed_norm(x)), 2, axis=-1)
        return x + self.down(op.silu(gate) * up), (keys, values)


def _turned(x: nn.Tensor, turn: tuple[nn.Tensor, nn.Tensor]) -> nn.Tensor:
    cos, sin = turn
    first, second = op.split(x, 2, axis=-1)
    return op.concat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def _constant(value: Any) -> nn.Tensor:
    return nn.Tensor.from_const(value)


def _wrapped(operation: Any, *tensors: nn.Tensor, **attributes: Any) -> nn.Tensor:
    return op.wrap_nested(operation(*(each._expr for each in tensors), **attributes), operation.__name__)
