"""The larger families at a small size: AlexNet, Inception v2, ResNet v2 and DenseNet."""

from __future__ import annotations

import torch
from torch import nn

from .layers import Concat, bn_relu_conv, conv_bn, named, pooled_classifier, stem, stem_conv


def alexnet() -> nn.Module:
    """AlexNet: five convolutions, overlapping max pooling, a fully connected classifier with dropout.

    Without local response normalisation, as in the one-tower AlexNet of 2014. The second of the
    fully connected layers has a square weight matrix.
    """
    return named(
        {
            "conv1": nn.Conv2d(3, 24, 5, 2, 2),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(3, 2, 1),
            "conv2": nn.Conv2d(24, 32, 5, 1, 2),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(3, 2, 1),
            "conv3": nn.Conv2d(32, 48, 3, 1, 1),
            "relu3": nn.ReLU(),
            "conv4": nn.Conv2d(48, 48, 3, 1, 1),
            "relu4": nn.ReLU(),
            "conv5": nn.Conv2d(48, 32, 3, 1, 1),
            "relu5": nn.ReLU(),
            "pool5": nn.MaxPool2d(3, 2, 1),
            "flatten": nn.Flatten(),
            "drop6": nn.Dropout(0.3),
            "fc6": nn.Linear(128, 96),
            "relu6": nn.ReLU(),
            "drop7": nn.Dropout(0.3),
            "fc7": nn.Linear(96, 96),
            "relu7": nn.ReLU(),
            "fc8": nn.Linear(96, 10),
        }
    )


REDUCED = 16  # the channels to which every 1x1 convolution of an inception block reduces


def _three(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    return named({"reduce": conv_bn(c_in, REDUCED), "conv": conv_bn(REDUCED, c_out, 3, stride)})


def _double_three(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    return named(
        {
            "reduce": conv_bn(c_in, REDUCED),
            "conv1": conv_bn(REDUCED, c_out, 3),
            "conv2": conv_bn(c_out, c_out, 3, stride),
        }
    )


def _inception(c_in: int, one: int, three: int, double: int, pool: int) -> Concat:
    average = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return Concat(
        {
            "one": conv_bn(c_in, one),
            "three": _three(c_in, three),
            "double": _double_three(c_in, double),
            "pooled": named({"pool": average, "project": conv_bn(c_in, pool)}),
        }
    )


def _inception_reduction(c_in: int, three: int, double: int) -> Concat:
    return Concat(
        {
            "three": _three(c_in, three, stride=2),
            "double": _double_three(c_in, double, stride=2),
            "pooled": nn.MaxPool2d(3, 2, 1),
        }
    )


def inceptionv2() -> nn.Module:
    """Inception v2: parallel 1x1, 3x3, double 3x3 and pooling branches, each convolution with batch norm."""
    return named(
        {
            "stem": stem(16),
            "mixed3a": _inception(16, 16, 32, 32, 16),
            "mixed3b": _inception_reduction(96, 32, 32),
            "mixed4a": _inception(160, 32, 32, 32, 32),
            "head": pooled_classifier(128),
        }
    )


class PreActBottleneck(nn.Module):
    """ResNet v2's bottleneck: batch norm and ReLU come before each of the 1x1, 3x3, 1x1 convolutions."""

    def __init__(self, c_in: int, width: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.preact = named({"bn": nn.BatchNorm2d(c_in), "act": nn.ReLU()})
        self.reduce = nn.Conv2d(c_in, width, 1, bias=False)
        self.filter = bn_relu_conv(width, width, 3, stride)
        self.expand = bn_relu_conv(width, c_out)
        self.project = nn.Conv2d(c_in, c_out, 1, stride, bias=False) if c_in != c_out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        active = self.preact(x)
        # The projection starts from the activated input, the identity from the input itself.
        shortcut = x if self.project is None else self.project(active)
        return shortcut + self.expand(self.filter(self.reduce(active)))


def resnet() -> nn.Module:
    """ResNet v2: two stages of two pre-activation bottlenecks each."""
    return named(
        {
            "stem": stem_conv(16),
            "stage1_unit1": PreActBottleneck(16, 16, 64, 1),
            "stage1_unit2": PreActBottleneck(64, 16, 64, 1),
            "stage2_unit1": PreActBottleneck(64, 32, 128, 2),
            "stage2_unit2": PreActBottleneck(128, 32, 128, 1),
            "bn": nn.BatchNorm2d(128),
            "act": nn.ReLU(),
            "head": pooled_classifier(128),
        }
    )


class DenseLayer(nn.Module):
    """Appends a few new channels, found through a 1x1 bottleneck and a 3x3 convolution, to its input."""

    def __init__(self, c_in: int, growth: int) -> None:
        super().__init__()
        self.bottleneck = bn_relu_conv(c_in, 4 * growth)
        self.conv = bn_relu_conv(4 * growth, growth, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(self.bottleneck(x))], dim=1)


def densenet() -> nn.Module:
    """DenseNet-BC: dense blocks of pre-activation layers, transitions that halve channels and size."""
    growth, channels = 12, 24
    layers: dict[str, nn.Module] = {"stem": stem(channels)}
    for block, depth in enumerate([3, 2], start=1):
        if block > 1:
            layers[f"transition{block - 1}"] = bn_relu_conv(channels, channels // 2)
            layers[f"pool{block - 1}"] = nn.AvgPool2d(2, 2)
            channels //= 2
        for layer in range(1, depth + 1):
            layers[f"block{block}_layer{layer}"] = DenseLayer(channels, growth)
            channels += growth
    layers |= {"bn": nn.BatchNorm2d(channels), "act": nn.ReLU(), "head": pooled_classifier(channels)}
    return named(layers)
