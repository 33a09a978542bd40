"""The zoo's language model: it computes what NumPy computes, with and without its cache, and it writes text."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tvm import relax

from tvm_mutate.evaluate.program import Program, take_program
from tvm_mutate.model import Workload
from tvm_mutate.model.scenario import resolve
from tvm_mutate.model.zoo import decode_text, decoder_module, encode, zoo_decoder, zoo_prompts
from tvm_mutate.pipeline.pass_lists import fusing_pipeline, memory_passes, scheduling_passes
from tvm_mutate.samples import Samples
from tvm_mutate.scenario import Call, Scenario

LLVM = tvm.target.Target("llvm")
WEIGHTS = {name: each.astype(np.float32) for name, each in zoo_decoder().items()}


def normalised(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight


def turned(x: np.ndarray) -> np.ndarray:
    """Pairs of the first and second half of [head, position, width] as complex numbers, turned by the position."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] * 1000.0 ** -(np.arange(half) / half)
    pairs = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)
    return np.concatenate([pairs.real, pairs.imag], -1)


def softmax(x: np.ndarray) -> np.ndarray:
    raised = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def reference(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The logits after every token of a text, [T, 96], and its keys and values, [2, 4, T, 16], without a cache."""
    x = WEIGHTS["embedding.weight"][tokens]
    kept = []
    for number in range(2):
        w = {name[9:-7]: each for name, each in WEIGHTS.items() if name.startswith(f"layers.{number}.")}
        qkv = normalised(x, w["attention_norm"]) @ w["qkv"].T
        query, key, value = qkv.reshape(len(tokens), 3, 4, 16).transpose(1, 2, 0, 3)
        query, key = turned(query), turned(key)
        later = np.triu(np.full((len(tokens), len(tokens)), -np.inf), 1)
        seen = softmax(query @ key.transpose(0, 2, 1) / 4 + later) @ value
        x = x + seen.transpose(1, 0, 2).reshape(len(tokens), 64) @ w["attention_out"].T
        gate, up = np.split(normalised(x, w["feed_norm"]) @ w["gate_up"].T, 2, -1)
        x = x + (gate / (1 + np.exp(-gate)) * up) @ w["down"].T
        kept.append((key, value))
    keys, values = (np.stack(each) for each in zip(*kept, strict=True))
    return normalised(x, WEIGHTS["norm.weight"]) @ WEIGHTS["embedding.weight"].T, keys, values


@pytest.fixture(scope="module")
def lowered() -> tvm.IRModule:
    with LLVM:
        return tvm.transform.Sequential([fusing_pipeline(), *scheduling_passes(LLVM)])(decoder_module(zoo_decoder()))


@pytest.fixture(scope="module")
def machine(lowered: tvm.IRModule) -> relax.VirtualMachine:
    rest = tvm.transform.Sequential(memory_passes(LLVM))
    return relax.VirtualMachine(relax.build(lowered, LLVM, relax_pipeline=rest), tvm.cpu())


def call(machine: relax.VirtualMachine, function: str, *arguments: np.ndarray) -> list[np.ndarray]:
    return [each.numpy() for each in machine[function](*map(tvm.runtime.tensor, arguments))]


def test_prefill_and_eight_calls_of_decode_compute_what_numpy_computes_without_a_cache(machine):
    for prompt in zoo_prompts()[:5]:
        tokens = prompt
        logits, *state = call(machine, "prefill", prompt[None])
        for step in range(9):
            wanted, keys, values = reference(tokens)
            np.testing.assert_allclose(logits[0], wanted[-1], rtol=1e-4, atol=1e-4)
            token, position, cached_keys, cached_values = state
            assert (token.item(), position.item()) == (wanted[-1].argmax(), len(tokens))
            for cached, full in ((cached_keys, keys), (cached_values, values)):
                np.testing.assert_allclose(cached[:, :, : len(tokens)], full, rtol=1e-4, atol=1e-4)
                assert not cached[:, :, len(tokens) :].any()
            tokens = np.append(tokens, token.item())
            if step < 8:
                logits, *state = call(machine, "decode", *state)


def test_the_model_lowers_to_straight_lines_of_kernel_calls(lowered):
    def program(function: str) -> Program:
        scenario = resolve(lowered, Scenario((Call(function),)))
        samples = Samples(tuple(np.zeros((1, *each.shape), each.dtype) for each in scenario.inputs))
        return take_program(lowered, Workload(scenario, samples))

    prefill, decode = program("prefill"), program("decode")
    assert [prefill.types[each].shape for each in prefill.inputs] == [(1, 16)]
    state = [decode.types[each] for each in decode.inputs]
    assert [prefill.types[each] for each in prefill.outputs[1:]] == state
    assert [decode.types[each] for each in decode.outputs[1:]] == state


def test_greedy_text_is_made_of_words_of_the_prompts_language():
    text = zoo_prompts()[1]
    for _ in range(27):
        text = np.append(text, reference(text)[0][-1].argmax())
    assert decode_text(text) == "to produce the attribute is a string of the"


def test_text_becomes_tokens_and_text_again():
    assert decode_text(encode("a\tb, é!\n~ \x7f")) == "ab, !\n~ "
    assert encode("\n ~").tolist() == [0, 1, 95]
