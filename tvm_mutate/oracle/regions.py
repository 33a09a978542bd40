"""Oracles on images that are divided into regions: label maps of segmentation, and boxes of detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.oracle.outputs import NO_LABEL, as_float64, top_labels
from tvm_mutate.samples import Sample, is_floating


@dataclass(frozen=True)
class LabelMap(Oracle):
    """Notices a label map of which less than the share ``threshold`` of the pixels has the golden label.

    The labels are the best classes along ``axis`` of the first output (1: the batch comes first), or the integers in
    it. The number is that share, the pixel accuracy against golden.
    Source: J. Long, E. Shelhamer, T. Darrell, "Fully convolutional networks for semantic segmentation", CVPR 2015.
    """

    name: ClassVar[str] = "label-map"

    axis: int = 1
    threshold: float = 0.99

    def __post_init__(self) -> None:
        self._check("threshold", 0 <= self.threshold <= 1, "between 0 and 1")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether too few pixels have the golden label."""
        first, second = (_labels(self, each[0]) for each in (golden, mutant))
        share = float(np.mean(first == second))
        return Finding(share < self.threshold, share)


@dataclass(frozen=True)
class MeanIntersectionOverUnion(Oracle):
    """Notices a label map whose mean intersection over union with the golden one is below ``threshold``.

    For each label in either map, the pixels that have it in both are divided by those that have it in any; the number
    is the mean over the labels. ``axis`` is as in label-map.
    Source: M. Everingham et al., "The PASCAL visual object classes challenge: a retrospective", International Journal
    of Computer Vision 111 (2015), section 2.2.
    """

    name: ClassVar[str] = "mean-iou"

    axis: int = 1
    threshold: float = 0.95

    def __post_init__(self) -> None:
        self._check("threshold", 0 <= self.threshold <= 1, "between 0 and 1")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether the mean is below the threshold."""
        first, second = (_labels(self, each[0]) for each in (golden, mutant))
        parts = [(first == label, second == label) for label in np.union1d(first, second)]
        mean = float(np.mean([(one & other).sum() / (one | other).sum() for one, other in parts]))
        return Finding(mean < self.threshold, mean)


@dataclass(frozen=True)
class MatchedBoxes(Oracle):
    """Notices detections of which less than the share ``threshold`` match between golden and mutant.

    Output number ``boxes`` holds boxes ``[..., boxes, 4]``: two opposite corners, or with ``centred=1`` centre, width
    and height. Output ``scores`` holds a score for each box, or one for each class of a box, of which the best counts;
    output ``labels`` the class of each box (-1: none). Boxes with a score below ``score`` are no detections. By
    falling score each of the mutant's detections takes the golden one of its class and image with the largest
    intersection over union, if that is at least ``iou`` and nobody took it before. The number is the F1 score:
    twice the matches, divided by the detections of both; 1.0 without detections.
    Source: M. Everingham et al., "The PASCAL visual object classes (VOC) challenge", International Journal of
    Computer Vision 88 (2010), section 4.2.
    """

    name: ClassVar[str] = "matched-boxes"

    boxes: int = 0
    scores: int = 1
    labels: int = -1
    centred: int = 0
    score: float = 0.5
    iou: float = 0.5
    threshold: float = 1.0

    def __post_init__(self) -> None:
        self._check("centred", self.centred in (0, 1), "0 or 1")
        self._check("iou", 0 < self.iou <= 1, "above 0, up to 1")
        self._check("threshold", 0 <= self.threshold <= 1, "between 0 and 1")
        for parameter in ("boxes", "scores"):
            self._check(parameter, getattr(self, parameter) >= 0, "the number of an output, from 0")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether too few detections match."""
        first, second = self._detections(golden), self._detections(mutant)
        overlap = _overlaps(second.corners, first.corners)
        overlap[second.groups[:, np.newaxis] != first.groups[np.newaxis]] = 0.0
        matches = 0
        for row in overlap:  # by falling score
            if row.size and row[best := int(row.argmax())] >= self.iou:
                overlap[:, best] = 0.0
                matches += 1
        found = len(overlap) + len(first.groups)
        share = 2 * matches / found if found else 1.0
        return Finding(share < self.threshold, share)

    def _detections(self, outputs: Sample) -> _Detections:
        boxes = as_float64(self._output("boxes", outputs))
        if boxes.ndim < 2 or boxes.shape[-1] != 4:
            raise UsageError(f"{self}: output {self.boxes} is {list(boxes.shape)}, and not boxes [..., boxes, 4]")
        each_image = boxes.shape[-2]
        boxes = boxes.reshape(-1, 4)
        if self.centred:
            boxes = np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2])
        scores = self._by_box("scores", outputs, len(boxes))
        classes = top_labels(scores) if scores.shape[1] > 1 else np.zeros(len(boxes), np.int64)
        if self.labels >= 0:
            classes = self._by_box("labels", outputs, len(boxes))[:, 0].astype(np.int64)
        best = np.fmax.reduce(scores, axis=1, initial=-np.inf)
        order = np.argsort(-best, kind="stable")
        order = order[best[order] >= self.score]
        image = np.arange(len(boxes)) // max(each_image, 1)
        corners = np.hstack([np.fmin(boxes[:, :2], boxes[:, 2:]), np.fmax(boxes[:, :2], boxes[:, 2:])])
        return _Detections(corners[order], (image * (classes.max(initial=0) + 2) + classes)[order])

    def _by_box(self, parameter: str, outputs: Sample, boxes: int) -> np.ndarray:
        output = as_float64(self._output(parameter, outputs))
        if not boxes or output.size % boxes:
            raise UsageError(f"{self}: {parameter} of shape {list(output.shape)} do not fit {boxes} boxes")
        return output.reshape(boxes, -1)

    def _output(self, parameter: str, outputs: Sample) -> np.ndarray:
        number = getattr(self, parameter)
        if number >= len(outputs):
            raise UsageError(f"{self}: there is no output {number} for {parameter}; the program has {len(outputs)}")
        output: np.ndarray = outputs[number]
        return output


class _Detections(NamedTuple):
    """Detections by falling score: corners ``[boxes, 4]``, and a number for each image and class, ``[boxes]``."""

    corners: np.ndarray
    groups: np.ndarray


def _overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The intersection over union of each two boxes, ``[first, second]``; 1.0 for equal ones without area."""
    one, other = first[:, np.newaxis], second[np.newaxis]
    with np.errstate(all="ignore"):
        sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
        both = np.prod(np.maximum(sides, 0.0), axis=-1)
        areas = [np.prod(each[..., 2:] - each[..., :2], axis=-1) for each in (one, other)]
        overlap = np.nan_to_num(both / (areas[0] + areas[1] - both), nan=0.0)
    same = ((one == other) | (np.isnan(one) & np.isnan(other))).all(axis=-1)
    return np.where(same, 1.0, overlap)


def _labels(oracle: LabelMap | MeanIntersectionOverUnion, output: np.ndarray) -> np.ndarray:
    """The labels of all pixels, flat."""
    if not is_floating(output.dtype):
        return output.reshape(-1)
    if not -output.ndim <= oracle.axis < output.ndim:
        raise UsageError(f"{oracle}: the first output of shape {list(output.shape)} has no axis {oracle.axis}")
    scores = np.moveaxis(output, oracle.axis, -1)
    return top_labels(scores.reshape(-1, scores.shape[-1])) if scores.size else np.full(1, NO_LABEL)
