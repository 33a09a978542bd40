"""Trains the embedded model zoo on the UCI handwritten digits and writes it as ONNX files.

Run from the repository's root with the `train` extra installed: `python benchmarks/train_zoo.py`.
It overwrites the models, the held-out images and zoo.json; with --only, the other models stay as they are.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm
from zoo_networks import NETWORKS, digits
from zoo_networks.onnx_export import count_macs, export_onnx

DEFAULT_OUTPUT = Path(__file__).resolve().parents[1] / "tvm_mutate" / "model" / "zoo"
BATCH = 64


def train(name: str, data: digits.Digits, norm: digits.Normalisation, epochs: int, seed: int) -> nn.Module:
    """The network after `epochs` passes over the training digits; the held-out digits are never looked at."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = NETWORKS[name].build().train()
    images = torch.from_numpy(digits.to_input(data.train_images, norm))
    labels = torch.from_numpy(data.train_labels)
    rate = NETWORKS[name].learning_rate
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-2)
    steps = len(images) // BATCH  # the incomplete batch is dropped: batch norm dislikes small ones
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps)
    background = -norm.mean / norm.std
    for _ in (bar := tqdm(range(epochs), desc=name, unit="epoch")):
        order = torch.randperm(len(images), generator=generator)
        for batch in order[: steps * BATCH].split(BATCH):
            inputs = digits.augment(images[batch], background, generator)
            loss = functional.cross_entropy(network(inputs), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        bar.set_postfix(loss=f"{loss.item():.4f}")
    return network


def accuracy(path: Path, data: digits.Digits, norm: digits.Normalisation) -> float:
    """The share of the held-out images that the written file puts first in onnxruntime."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = digits.to_input(data.test_images, norm)
    answers = [int(session.run(None, {"input": image[None]})[0].argmax()) for image in inputs]
    return float(np.mean(np.array(answers) == data.test_labels))


def write_model(name: str, network: nn.Module, output: Path) -> tuple[Path, onnx.ModelProto]:
    """Writes the network's ONNX file and returns where, and the model."""
    path = output / f"{name}.onnx"
    model = export_onnx(network, name)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path, model


def describe(name: str, network: nn.Module, path: Path, model: onnx.ModelProto, top1: float) -> dict[str, object]:
    """What zoo.json says of one model."""
    return {
        "file": path.name,
        "architecture": NETWORKS[name].architecture,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": count_macs(model),
        "top1": round(top1, 4),
        "sha256": sha256(path),
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def preprocessing(norm: digits.Normalisation) -> dict[str, object]:
    """How an image becomes the networks' input, as zoo.json says it."""
    return {
        "formula": "x = (pixel * scale - mean) / std",
        "scale": digits.SCALE,
        "mean": [norm.mean] * 3,
        "std": [norm.std] * 3,
        "size": [digits.SIZE, digits.SIZE],
        "layout": "NCHW",
        "dtype": "float32",
        "input": "input",
    }


def catalogue(output: Path, norm: digits.Normalisation, fresh: dict[str, dict[str, object]]) -> dict[str, object]:
    """The contents of zoo.json: the fresh models, and the rest of the existing file."""
    path = output / "zoo.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    models = {**known.get("models", {}), **fresh}
    return {
        **known,
        "models": {name: models[name] for name in NETWORKS if name in models},
        "preprocessing": preprocessing(norm),
        "images": "digits.npz",
        "images_sha256": sha256(output / "digits.npz"),
        "classes": [str(digit) for digit in range(10)],
    }


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(NETWORKS)), help="Train this network (repeatable).")
@click.option("--epochs", default=60, show_default=True, help="Passes over the training images.")
@click.option("--seed", default=1, show_default=True, help="Seed of the weights, order and augmentation.")
@click.option("--output", type=click.Path(path_type=Path), default=DEFAULT_OUTPUT, help="Folder to write to.")
def main(only: tuple[str, ...], epochs: int, seed: int, output: Path) -> None:
    """Trains the zoo's networks and writes models, held-out images and zoo.json."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    output.mkdir(parents=True, exist_ok=True)
    data = digits.load()
    norm = digits.normalisation(data)
    np.savez_compressed(output / "digits.npz", images=data.test_images, labels=data.test_labels)
    for name in only or NETWORKS:
        network = train(name, data, norm, epochs, seed)
        path, model = write_model(name, network, output)
        entry = describe(name, network, path, model, accuracy(path, data, norm))
        entry["training"] = {"epochs": epochs, "seed": seed}
        contents = catalogue(output, norm, {name: entry})
        (output / "zoo.json").write_text(json.dumps(contents, indent=2) + "\n")
        click.echo(f"{name}: top-1 {entry['top1']:.1%}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
