"""The picture of the cross-device table: devices × devices, with a row of maps for each category."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvm_mutate.errors import UsageError
from tvm_mutate.report.discrepancies import BEHAVIOURS, CrossDevice

if TYPE_CHECKING:  # imported where a picture is drawn, because few commands draw one
    from matplotlib.figure import Figure

FILES = ("cross_devices.png", "cross_devices.svg")
_TITLES = {
    "defined": "defined behaviour",
    "undefined": "undefined behaviour",
    "unknown": "behaviour not known",
}
_COLOURS = "Blues"


def write_heat_maps(table: Sequence[CrossDevice], devices: Sequence[str], folder: str | Path) -> tuple[Path, ...]:
    """Writes the picture into the folder as PNG and SVG; returns the paths, none for an empty table.

    Raises UsageError if the files cannot be written.
    """
    if not table:
        return ()
    import matplotlib

    figure = draw_heat_maps(table, devices)
    paths = tuple(Path(folder) / name for name in FILES)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        # Without a date and random ids, so that equal results make equal pictures.
        with matplotlib.rc_context({"svg.hashsalt": "tvm_mutate", "svg.fonttype": "none"}):
            for path in paths:
                metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {"Software": None}
                figure.savefig(path, dpi=130, metadata=metadata)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror or error})") from None
    return paths


def draw_heat_maps(table: Sequence[CrossDevice], devices: Sequence[str]) -> Figure:
    """The picture: for each category the largest share of inputs that two devices label differently, in percent.

    Shares leave out inputs on which the unmutated builds differ. Columns are mutants of defined, of undefined and, if
    there are any, of unknown behaviour. No mutant differs in a cell without a number.
    """
    from matplotlib.figure import Figure

    categories = list(dict.fromkeys(each.category for each in table))
    behaviours = [each for each in BEHAVIOURS if each != "unknown" or any(row.unknown for row in table)]
    side = 0.75 + 0.5 * len(devices)
    size = (1.9 + (side + 0.35) * len(behaviours) + 0.9, 1.2 + (side + 0.45) * len(categories))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(categories), len(behaviours), squeeze=False, sharex=True, sharey=True)
    image: Any = None
    for category, line in zip(categories, axes, strict=True):
        for behaviour, axis in zip(behaviours, line, strict=True):
            rows = [each for each in table if each.category == category]
            image = _draw(axis, rows, behaviour, devices)
        line[0].set_ylabel(f"{textwrap.fill(category, 22)}\n\ndevice", fontsize=9)
    for axis, behaviour in zip(axes[0], behaviours, strict=True):
        axis.set_title(_TITLES[behaviour], fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("device", fontsize=9)
    bar = figure.colorbar(image, ax=axes, location="right", shrink=min(1.0, 4.5 / size[1]), pad=0.03)
    bar.set_label("inputs with different labels, largest share of any mutant (%)", fontsize=9)
    figure.suptitle("Label discrepancies between devices\nbeyond the unmutated builds'", fontsize=12)
    return figure


def _draw(axis: Any, rows: Sequence[CrossDevice], behaviour: str, devices: Sequence[str]) -> Any:
    values = np.full((len(devices), len(devices)), np.nan)
    for row in rows:
        at = devices.index(row.first_device), devices.index(row.second_device)
        values[at] = values[at[::-1]] = 100 * (row.largest_of(behaviour) or 0.0)
    image = axis.imshow(values, cmap=_COLOURS, vmin=0, vmax=100)
    axis.set_facecolor("0.9")  # the diagonal stays grey
    for (down, across), value in np.ndenumerate(values):
        if value > 0:
            text = f"{value:.0f}" if value >= 1 else "<1"
            axis.text(across, down, text, ha="center", va="center", fontsize=8, color="w" if value > 50 else "k")
    names = [device if len(device) <= 18 else f"{device[:17]}…" for device in devices]
    axis.set_xticks(range(len(devices)), names, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(devices)), names, fontsize=8)
    return image
