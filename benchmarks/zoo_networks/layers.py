"""Layers that several of the zoo's networks are built from."""

from __future__ import annotations

import torch
from torch import nn


def conv_bn(
    c_in: int,
    c_out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:
    """A "same"-padded convolution without bias, its batch norm, and an activation if one is given."""
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        "bn": nn.BatchNorm2d(c_out),
    }
    if act is not None:
        layers["act"] = act()
    return named(layers)


def stem_conv(channels: int) -> nn.Conv2d:
    """The first convolution: its ten steps of three pixels cover the 32x32 image exactly, so 10x10 come out.

    Not 16x16 and then 8x8, as halving would give: a batch norm over 8x8 pixels was measured to take
    LLVM about seven times as long to compile as one over 10x10.
    """
    return nn.Conv2d(3, channels, 5, 3, bias=False)


def stem(channels: int, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """The first convolution with its batch norm and activation."""
    return named({"conv": stem_conv(channels), "bn": nn.BatchNorm2d(channels), "act": act()})


def bn_relu_conv(c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """The pre-activation order: batch norm, ReLU, then a "same"-padded convolution without bias."""
    return named(
        {
            "bn": nn.BatchNorm2d(c_in),
            "act": nn.ReLU(),
            "conv": nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        }
    )


def named(layers: dict[str, nn.Module]) -> nn.Sequential:
    """A sequence of layers under the given names, which become the names in the ONNX file."""
    sequence = nn.Sequential()
    for name, layer in layers.items():
        sequence.add_module(name, layer)
    return sequence


def pooled_classifier(channels: int, classes: int = 10) -> nn.Sequential:
    """Global average pooling and one linear layer."""
    return named({"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "fc": nn.Linear(channels, classes)})


class Concat(nn.Module):
    """Feeds its input to every branch and joins what they return along the channels."""

    def __init__(self, branches: dict[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(f"branch_{name}" for name in branches)
        for name, branch in zip(self.names, branches.values(), strict=True):
            self.add_module(name, branch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([getattr(self, name)(x) for name in self.names], dim=1)
