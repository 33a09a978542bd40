"""The PyTorch definitions of the zoo's networks, their training data and their export to ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from . import classic, mobile


class Network(NamedTuple):
    """How a network is built, the paper of its architecture, and the learning rate it trains with."""

    build: Callable[[], nn.Module]
    architecture: str
    learning_rate: float = 4e-3


NETWORKS = {
    "mobilenetv2": Network(
        mobile.mobilenetv2,
        "MobileNetV2: inverted residuals, linear bottlenecks, ReLU6 (Sandler et al., 2018, arXiv:1801.04381)",
    ),
    "densenet": Network(
        classic.densenet,
        "DenseNet-BC: dense blocks, transitions with average pooling (Huang et al., 2017, arXiv:1608.06993)",
    ),
    "resnet": Network(
        classic.resnet,
        "ResNet v2: pre-activation bottlenecks with identity shortcuts (He et al., 2016, arXiv:1603.05027)",
    ),
    "alexnet": Network(
        classic.alexnet,
        "AlexNet: five convolutions, max pooling, fully connected classifier, one tower and no local response"
        " normalisation (Krizhevsky et al., 2012; Krizhevsky, 2014, arXiv:1404.5997)",
        learning_rate=2e-3,
    ),
    "shufflenetv2": Network(
        mobile.shufflenetv2,
        "ShuffleNetV2: channel split, concatenation, channel shuffle (Ma et al., 2018, arXiv:1807.11164)",
    ),
    "efficientnet_lite": Network(
        mobile.efficientnet_lite,
        "EfficientNet-Lite: MBConv without squeeze-and-excite, ReLU6; the top 1x1 convolution as a MatMul"
        " over tokens (Tan and Le, 2019, arXiv:1905.11946; Lite variants: TensorFlow, 2020)",
    ),
    "inceptionv2": Network(
        classic.inceptionv2,
        "Inception v2: parallel 1x1, 3x3, double 3x3 and pooling branches with batch norm"
        " (Ioffe and Szegedy, 2015, arXiv:1502.03167; Szegedy et al., 2016, arXiv:1512.00567)",
    ),
}
