"""Trains the zoo's language model on the reference of the Python language that every Python has in pydoc_data.

Run from the repository's root with the `train` extra installed: `python benchmarks/train_decoder.py`.
It overwrites decoder.npz, prompts.npz and the decoder's entry in zoo.json.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import pydoc_data.topics
import re
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from tvm_mutate.model.zoo.decoder import (
    CHARACTERS,
    EPSILON,
    HEADS,
    HIDDEN,
    LAYERS,
    PROMPT,
    ROTARY_BASE,
    WIDTH,
    decode_text,
    encode,
)

DEFAULT_OUTPUT = Path(__file__).resolve().parents[1] / "tvm_mutate" / "model" / "zoo"
BATCH = 32
WINDOW = 64
RATE = 6e-3
PROMPTS = 20


class Layer(nn.Module):
    """A layer of tvm_mutate.model.zoo.decoder over a whole window, with the same names of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(WIDTH, EPSILON)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attention_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.feed_norm = nn.RMSNorm(WIDTH, EPSILON)
        self.gate_up = nn.Linear(WIDTH, 2 * HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, length, 3 * HEADS, WIDTH // HEADS).transpose(1, 2)
        query, key, value = qkv.chunk(3, dim=1)
        seen = functional.scaled_dot_product_attention(turned(query), turned(key), value, is_causal=True)
        x = x + self.attention_out(seen.transpose(1, 2).reshape(batch, length, WIDTH))
        gate, up = self.gate_up(self.feed_norm(x)).chunk(2, dim=-1)
        return x + self.down(functional.silu(gate) * up)


class Decoder(nn.Module):
    """The decoder of tvm_mutate.model.zoo.decoder over a whole window: logits at every position."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), WIDTH)
        nn.init.normal_(self.embedding.weight, std=WIDTH**-0.5)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(WIDTH, EPSILON)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x) @ self.embedding.weight.T


def turned(x: torch.Tensor) -> torch.Tensor:
    """Queries or keys [..., length, width of a head], turned by their positions."""
    frequencies = ROTARY_BASE ** -(torch.arange(x.shape[-1] // 2) / (x.shape[-1] // 2))
    angles = torch.arange(x.shape[-2])[:, None] * frequencies
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()], -1)


def read_texts() -> tuple[str, str]:
    """The text to train on and the held-out text: of ten paragraphs in a row, every tenth time.

    Topics share sections, so each paragraph is taken once; runs of spaces and underlines of headings are left out.
    """
    topics = pydoc_data.topics.topics
    paragraphs = [each for name in sorted(topics) for each in topics[name].split("\n\n")]
    plain = (re.sub(" +", " ", re.sub(r"([-=*~^])\1{3,}", "", each)).strip() for each in paragraphs)
    unique = [each for each in dict.fromkeys(plain) if each]
    groups = ["\n".join(unique[start : start + 10]) + "\n" for start in range(0, len(unique), 10)]
    held_out = groups[9::10]
    return "".join(each for each in groups if each not in held_out), "".join(held_out)


def train(text: np.ndarray, steps: int, seed: int) -> tuple[Decoder, float]:
    """The decoder after `steps` batches of windows from the text, and the mean loss of the last 100, in bits."""
    torch.manual_seed(seed)
    network = Decoder()
    tokens = torch.from_numpy(text.astype(np.int64))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    losses = []
    for _ in (bar := tqdm(range(steps), desc="decoder", mininterval=5)):
        starts = torch.randint(len(tokens) - WINDOW, (BATCH, 1))
        windows = tokens[starts + torch.arange(WINDOW + 1)]
        loss = functional.cross_entropy(network(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item() / math.log(2))
        bar.set_postfix(bits=f"{losses[-1]:.3f}", refresh=False)
    return network, float(np.mean(losses[-100:]))


@torch.no_grad()
def bits_per_character(network: Decoder, text: np.ndarray) -> float:
    """The mean over all windows of a text; the first character of a window is given."""
    windows = torch.from_numpy(text[: len(text) // WINDOW * WINDOW].astype(np.int64)).view(-1, WINDOW)
    logits = network(windows[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item() / math.log(2)


def bigram_bits(text: np.ndarray, held_out: np.ndarray) -> float:
    """The bits per character of held-out text under the pairs of the text, each counted once more than seen."""
    counts = np.ones((len(CHARACTERS), len(CHARACTERS)))
    np.add.at(counts, (text[:-1], text[1:]), 1)
    chances = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log2(chances[held_out[:-1], held_out[1:]]).mean())


def choose_prompts(held_out: str) -> np.ndarray:
    """Windows of held-out text at starts of words, evenly spread, int32 [PROMPTS, PROMPT]."""
    step = len(held_out) // PROMPTS
    starts = [held_out.index(" ", number * step) + 1 for number in range(PROMPTS)]
    return np.stack([encode(held_out[start:])[:PROMPT] for start in starts])


@torch.no_grad()
def greedy(network: Decoder, prompt: np.ndarray, count: int) -> str:
    """The continuation of a prompt by the likeliest character each time."""
    tokens = torch.from_numpy(prompt.astype(np.int64))[None]
    for _ in range(count):
        tokens = torch.cat([tokens, network(tokens)[:, -1:].argmax(-1)], dim=1)
    return decode_text(tokens[0, len(prompt) :].numpy())


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@click.command()
@click.option("--steps", default=3000, show_default=True, help="Batches to train on.")
@click.option("--seed", default=1, show_default=True, help="Seed of the weights and batches.")
@click.option("--output", type=click.Path(path_type=Path), default=DEFAULT_OUTPUT, help="Folder to write to.")
def main(steps: int, seed: int, output: Path) -> None:
    """Trains the zoo's language model and writes weights, prompts and its entry in zoo.json."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    text, held_out = read_texts()
    tokens, unseen = encode(text), encode(held_out)
    network, loss = train(tokens, steps, seed)
    weights = {name: each.detach().numpy().astype(np.float16) for name, each in network.state_dict().items()}
    network.load_state_dict({name: torch.from_numpy(each.astype(np.float32)) for name, each in weights.items()})
    prompts = choose_prompts(held_out)
    np.savez_compressed(output / "decoder.npz", **weights)
    np.savez_compressed(output / "prompts.npz", tokens=prompts)
    entry = {
        "file": "decoder.npz",
        "architecture": "decoder of two layers with rotary positions, https://arxiv.org/abs/2104.09864",
        "parameters": sum(each.size for each in weights.values()),
        "bits_per_character": round(bits_per_character(network, unseen), 3),
        "bigram_bits_per_character": round(bigram_bits(tokens, unseen), 3),
        "sha256": sha256(output / "decoder.npz"),
        "prompts": "prompts.npz",
        "prompts_sha256": sha256(output / "prompts.npz"),
        "training": {
            "steps": steps,
            "seed": seed,
            "characters": len(tokens),
            "held_out_characters": len(unseen),
            "bits_per_character": round(loss, 3),
            "python": platform.python_version(),
        },
    }
    path = output / "zoo.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"decoder": entry}, indent=2) + "\n")
    click.echo(json.dumps(entry, indent=2))
    for prompt in prompts:
        click.echo(f"{decode_text(prompt)!r} -> {greedy(network, prompt, 40)!r}")


if __name__ == "__main__":
    main()
