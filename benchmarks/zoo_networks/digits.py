"""The handwritten digits as the zoo's networks see them: split, enlarged to 32x32, normalised, augmented."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional

SIZE = 32
HELD_OUT = 500
SPLIT_SEED = 2024
SCALE = 1 / 255


class Digits(NamedTuple):
    """Images uint8 [N, 32, 32] and labels int64 [N], of the training part and of the held-out part."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


class Normalisation(NamedTuple):
    """Mean and standard deviation of the training pixels after scaling to 0..1."""

    mean: float
    std: float


def load() -> Digits:
    """The 1797 digits, enlarged, with a stratified 500 of them held out (the same ones every time)."""
    raw, labels = load_digits(return_X_y=True)
    images = np.stack([enlarge(image.reshape(8, 8)) for image in raw])
    train_x, test_x, train_y, test_y = train_test_split(
        images, labels.astype(np.int64), test_size=HELD_OUT, stratify=labels, random_state=SPLIT_SEED
    )
    return Digits(train_x, train_y, test_x, test_y)


def enlarge(digit: np.ndarray) -> np.ndarray:
    """An 8x8 digit with values 0..16 as uint8 [32, 32] with values 0..255, bilinearly interpolated."""
    grey = np.rint(digit * (255 / 16)).astype(np.uint8)
    return np.asarray(Image.fromarray(grey).resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def normalisation(digits: Digits) -> Normalisation:
    """The statistics that inputs are normalised with, rounded to what zoo.json states."""
    pixels = digits.train_images.astype(np.float64) * SCALE
    return Normalisation(round(float(pixels.mean()), 4), round(float(pixels.std()), 4))


def to_input(images: np.ndarray, norm: Normalisation) -> np.ndarray:
    """Images uint8 [N, 32, 32] as network inputs float32 [N, 3, 32, 32]."""
    grey = (images.astype(np.float32) * np.float32(SCALE) - np.float32(norm.mean)) / np.float32(norm.std)
    return np.repeat(grey[:, None], 3, axis=1)


def augment(batch: torch.Tensor, background: float, generator: torch.Generator) -> torch.Tensor:
    """The batch with each image shifted, turned and scaled a little; what is uncovered is background."""

    def uniform(limit: float) -> torch.Tensor:
        return (torch.rand(len(batch), generator=generator) * 2 - 1) * limit

    angle, scale = uniform(math.radians(12)), 1 + uniform(0.1)
    shift = 2 * 3 / SIZE  # three pixels, in the grid's unit of half an image
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    rows = [torch.stack([cos, -sin, uniform(shift)], 1), torch.stack([sin, cos, uniform(shift)], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(batch.shape), align_corners=False)
    return functional.grid_sample(batch - background, grid, align_corners=False) + background
