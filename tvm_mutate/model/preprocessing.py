"""How pixels become a model's input: the recipe, its checks, and its form in journals and recipe files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from tvm_mutate.errors import UsageError, suggestion

Layout = Literal["NCHW", "NHWC"]
ChannelOrder = Literal["RGB", "BGR"]
Fit = Literal["strict", "resize"]
PerChannel = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image before a model sees it: resize, crop, then ``(pixel * scale - mean) / std``.

    ``resize`` is the length in pixels that the shorter side gets (None: untouched), ``crop`` the side of the
    square cut from the centre (None: no cut). Pixels are 0 to 255; ``mean`` and ``std`` are per channel in
    ``channel_order``, in the unit of ``pixel * scale``. ``fit`` says what happens to an image that is not of the
    model's size after that: an error, or a resize without regard to its proportions. ``guessed`` marks a recipe
    that nobody gave and that was chosen from the input's shape.

    Raises UsageError for values that cannot be used.
    """

    resize: int | None = None
    crop: int | None = None
    scale: float = 1.0
    mean: PerChannel = (0.0, 0.0, 0.0)
    std: PerChannel = (1.0, 1.0, 1.0)
    layout: Layout = "NCHW"
    channel_order: ChannelOrder = "RGB"
    fit: Fit = "strict"
    guessed: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("resize", "crop"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"preprocessing: {name} is {value!r}; give a number of pixels, 1 or more, or none")
        if not _is_number(self.scale) or self.scale == 0:
            raise UsageError(f"preprocessing: scale is {self.scale!r}; give a finite number other than 0")
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "mean", _per_channel("mean", self.mean))
        object.__setattr__(self, "std", _per_channel("std", self.std))
        if 0.0 in self.std:
            raise UsageError(f"preprocessing: std is {list(self.std)}; no channel can be divided by 0")
        for name, choices in (("layout", Layout), ("channel_order", ChannelOrder), ("fit", Fit)):
            value = getattr(self, name)
            if value not in get_args(choices):
                hint = " or ".join(get_args(choices))
                raise UsageError(f"preprocessing: {name} is {value!r}; give {hint}")

    def to_mapping(self) -> dict[str, Any]:
        """The recipe as a JSON-ready mapping, all keys present; ``from_mapping`` makes an equal recipe of it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, where: str = "preprocessing") -> Preprocessing:
        """The recipe that a mapping describes; keys left out take their defaults.

        ``mean`` and ``std`` are three numbers, or one for all channels. Raises UsageError, naming ``where``, for
        an unknown key or a value that cannot be used.
        """
        known = [each.name for each in fields(cls)]
        for key in mapping:
            if key not in known:
                raise UsageError(f"{where}: preprocessing has no key {key!r}{suggestion(str(key), known)}")
        try:
            return cls(**mapping)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _per_channel(name: str, value: object) -> tuple[float, ...]:
    given: Sequence[object] = [value] * 3 if _is_number(value) else value if isinstance(value, list | tuple) else ()
    numbers = tuple(float(each) for each in given if isinstance(each, int | float) and _is_number(each))
    if len(numbers) != 3 or len(given) != 3:
        raise UsageError(f"preprocessing: {name} is {value!r}; give three finite numbers, one per channel")
    return numbers
