"""The networks made for phones: MobileNetV2, ShuffleNetV2 and EfficientNet-Lite."""

from __future__ import annotations

import torch
from torch import nn

from .layers import conv_bn, named, pooled_classifier, stem


class InvertedResidual(nn.Module):
    """Expand (1x1), filter per channel (depthwise), project (1x1, linear); with a skip where shapes agree.

    This is both MobileNetV2's block and EfficientNet-Lite's MBConv, which has no squeeze-and-excite.
    """

    def __init__(self, c_in: int, c_out: int, stride: int, expansion: int, kernel: int = 3) -> None:
        super().__init__()
        hidden = c_in * expansion
        layers: dict[str, nn.Module] = {}
        if expansion != 1:
            layers["expand"] = conv_bn(c_in, hidden, act=nn.ReLU6)
        layers["depthwise"] = conv_bn(hidden, hidden, kernel, stride, groups=hidden, act=nn.ReLU6)
        layers["project"] = conv_bn(hidden, c_out, act=None)
        self.body = named(layers)
        self.skip = stride == 1 and c_in == c_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x) if self.skip else self.body(x)


def mobilenetv2() -> nn.Module:
    """MobileNetV2: inverted residuals with linear bottlenecks, ReLU6."""
    return named(
        {
            "stem": stem(16, act=nn.ReLU6),
            "block1": InvertedResidual(16, 16, 1, expansion=1),
            "block2": InvertedResidual(16, 32, 1, expansion=4),
            "block3": InvertedResidual(32, 32, 1, expansion=4),
            "block4": InvertedResidual(32, 32, 2, expansion=4),
            "block5": InvertedResidual(32, 32, 1, expansion=4),
            "top": conv_bn(32, 128, act=nn.ReLU6),
            "head": pooled_classifier(128),
        }
    )


class ChannelShuffle(nn.Module):
    """Interleaves the two halves of the channels: Reshape, Transpose, Reshape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.groups = (2, channels // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(1, self.groups).transpose(1, 2).flatten(1, 2)


def _shuffle_branch(c_in: int, width: int, stride: int) -> nn.Sequential:
    return named(
        {
            "reduce": conv_bn(c_in, width),
            "depthwise": conv_bn(width, width, 3, stride, groups=width, act=None),
            "project": conv_bn(width, width),
        }
    )


class ShuffleUnit(nn.Module):
    """ShuffleNetV2's basic unit: one half of the channels passes through, the other is convolved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _shuffle_branch(channels // 2, channels // 2, stride=1)
        self.shuffle = ChannelShuffle(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, used = x.chunk(2, dim=1)
        return self.shuffle(torch.cat([kept, self.branch(used)], dim=1))


class ShuffleDown(nn.Module):
    """ShuffleNetV2's unit for spatial down-sampling: both branches are convolved with stride 2."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        width = c_out // 2
        self.left = named(
            {
                "depthwise": conv_bn(c_in, c_in, 3, 2, groups=c_in, act=None),
                "project": conv_bn(c_in, width),
            }
        )
        self.right = _shuffle_branch(c_in, width, stride=2)
        self.shuffle = ChannelShuffle(c_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.shuffle(torch.cat([self.left(x), self.right(x)], dim=1))


def shufflenetv2() -> nn.Module:
    """ShuffleNetV2: channel split, concatenation and channel shuffle."""
    return named(
        {
            "stem": conv_bn(3, 24, 3, 1),
            "pool": nn.MaxPool2d(5, 3),
            "stage2_down": ShuffleDown(24, 48),
            "stage2_unit": ShuffleUnit(48),
            "stage3_down": ShuffleDown(48, 96),
            "stage3_unit": ShuffleUnit(96),
            "top": conv_bn(96, 128),
            "head": pooled_classifier(128),
        }
    )


class TokenMix(nn.Module):
    """A 1x1 convolution written as a matrix product over the pixels as tokens, [N, H*W, C] x [C, C_out]."""

    def __init__(self, c_in: int, c_out: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(c_in, c_out))
        nn.init.kaiming_uniform_(self.weight.T, nonlinearity="relu")
        self.size = (size, size)
        self.bn = nn.BatchNorm2d(c_out)
        self.act = nn.ReLU6()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = torch.matmul(x.flatten(2).transpose(1, 2), self.weight)
        return self.act(self.bn(tokens.transpose(1, 2).unflatten(2, self.size)))


def efficientnet_lite() -> nn.Module:
    """EfficientNet-Lite: MBConv without squeeze-and-excite, 3x3 and 5x5; the top convolution as MatMul.

    The MatMul sees 6x6 = 36 tokens of 36 channels: a first argument with two equal dimensions.
    """
    return named(
        {
            "stem": conv_bn(3, 16, 3, 3, act=nn.ReLU6),
            "block1": InvertedResidual(16, 16, 1, expansion=1),
            "block2": InvertedResidual(16, 32, 1, expansion=4),
            "block3": InvertedResidual(32, 32, 1, expansion=4),
            "block4": InvertedResidual(32, 32, 1, expansion=4, kernel=5),
            "block5": InvertedResidual(32, 36, 2, expansion=4, kernel=5),
            "top": TokenMix(36, 128, size=6),
            "head": pooled_classifier(128),
        }
    )
