"""Image files and pixels: read, resized, cropped, and turned into a model's float32 input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tvm_mutate.errors import UsageError
from tvm_mutate.model.preprocessing import Preprocessing

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def preprocess(images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Images as a model takes them: ``(pixel * scale - mean) / std`` in float32, every step rounded to float32.

    ``images`` is uint8 [N, H, W, 3] in RGB; the result is float32 [N, 3, H, W] or [N, H, W, 3] after the recipe's
    layout. ``resize``, ``crop`` and ``fit`` are ``fit_image``'s business. Raises UsageError for other arrays.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise UsageError(f"images are {images.dtype} {list(images.shape)}; give uint8 [N, H, W, 3]")
    ordered = images[..., ::-1] if preprocessing.channel_order == "BGR" else images
    mean = np.array(preprocessing.mean, np.float32)
    std = np.array(preprocessing.std, np.float32)
    values = (ordered.astype(np.float32) * np.float32(preprocessing.scale) - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if preprocessing.layout == "NCHW" else values)


def read_image(path: Path, preprocessing: Preprocessing, size: tuple[int, int]) -> np.ndarray:
    """The image in a file as uint8 [H, W, 3], RGB, after resize and crop; ``size`` is the model's (H, W).

    Grey images and images with transparency are converted to RGB. Raises UsageError, naming the file, if it is
    no image, is broken, or is of another size where the recipe's fit is strict.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except UnidentifiedImageError:
        raise UsageError(f"{path}: is not an image, or is broken") from None
    except Image.DecompressionBombError:
        raise UsageError(f"{path}: has more pixels than Pillow is willing to decode; make it smaller") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{path}: cannot be decoded, the file may be truncated ({error})") from None
    return fit_image(image, preprocessing, size, str(path))


def fit_image(image: Image.Image, preprocessing: Preprocessing, size: tuple[int, int], name: str) -> np.ndarray:
    """An RGB image as uint8 [H, W, 3] of the model's ``size`` (H, W), by the recipe's resize, crop and fit.

    Raises UsageError, naming the image by ``name``, if it is of another size and the recipe's fit is strict.
    """
    width, height = image.size
    if preprocessing.resize is not None and min(image.size) != preprocessing.resize:
        factor = preprocessing.resize / min(image.size)
        scaled = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = image.resize(scaled, Image.Resampling.BILINEAR)
    crop = preprocessing.crop
    if crop is not None and min(image.size) >= crop:
        left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
        image = image.crop((left, top, left + crop, top + crop))
    if (image.height, image.width) != size:
        if preprocessing.fit == "strict":
            came_out = (
                "" if image.size == (width, height) else f" ({image.width} x {image.height} after resize and crop)"
            )
            raise UsageError(
                f"{name}: is {width} x {height} pixels{came_out}, but the model takes {size[1]} x {size[0]}; "
                "use images of that size or a preprocessing with fit = 'resize'"
            )
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)
