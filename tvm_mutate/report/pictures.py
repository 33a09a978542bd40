"""The pictures of a campaign for a paper: PNG and SVG files, each with its numbers as CSV, and their captions.

Colours and hatches can be told apart by everybody, and in grey.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import digits
from typing import TYPE_CHECKING, Any

import numpy as np

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle import Outcome, Rung
from tvm_mutate.report.csv_report import write_table
from tvm_mutate.report.discrepancies import ALL, BEHAVIOURS, cross_devices
from tvm_mutate.results import MutantRow, Results, Score, write_whole

if TYPE_CHECKING:  # imported where a picture is drawn: the package does not need it otherwise
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTIONS_FILE = "pictures.md"
_BLUE, _ORANGE, _DARK = "#0072B2", "#E69F00", "0.25"
_COLOURS = "cividis"
_MOST_FUNCTIONS = 30
_WIDTH = 6.5  # inches: the text of a page


@dataclass(frozen=True)
class Picture:
    """A figure with its file name (without suffix), its caption, and its numbers as a table."""

    name: str
    caption: str
    figure: Figure
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def write_pictures(results: Results, folder: Path) -> list[Path]:
    """Writes the pictures that have data into the folder, with their tables and captions; returns the paths.

    Raises UsageError if matplotlib is missing, if no mutant was applied, or if a file cannot be written.
    """
    try:
        import matplotlib
    except ImportError:
        raise UsageError("pictures need matplotlib: pip install 'tvm-mutate[pictures]'") from None
    pictures = draw_pictures(results)
    if not pictures:
        raise UsageError("there is nothing to draw: no mutant of these results was applied")
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without a date and random ids, so that equal results make equal pictures.
        with matplotlib.rc_context({"svg.hashsalt": "tvm_mutate", "svg.fonttype": "none"}):
            for picture in pictures:
                for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
                    paths.append(folder / f"{picture.name}.{suffix}")
                    picture.figure.savefig(paths[-1], dpi=200, metadata=metadata)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written ({error.strerror or error})") from None
    paths += [write_table(folder / f"{each.name}.csv", each.header, each.rows) for each in pictures]
    captions = [f"![{each.name}]({each.name}.png)\n\n{each.caption}\n\n" for each in pictures]
    return [*paths, write_whole(folder / CAPTIONS_FILE, captions)]


def draw_pictures(results: Results) -> list[Picture]:
    """The pictures that have data, of mutants that were applied; faults of the compiler itself are left out."""
    rows = [row for row in results.mutants if row.is_applied and not row.is_compiler_fault]
    drawn = (_survivors(rows), _rungs(rows), _where_faults_stop(rows), _sensitivity(rows), _devices(results))
    return [picture for picture in drawn if picture is not None]


def _survivors(rows: Sequence[MutantRow]) -> Picture | None:
    """The share of survivors of each operator with its 95 % interval."""
    scores: dict[str, Score] = {}
    for operator in sorted({row.operator for row in rows}):
        own = [row for row in rows if row.operator == operator and row.accepted is None]
        killed, survived = (sum(row.verdict == verdict for row in own) for verdict in ("killed", "survived"))
        if killed + survived:
            scores[operator] = Score(killed, killed + survived)
    if not scores:
        return None
    # The interval of survivors is that of the score, turned round.
    table: list[tuple[str, int, int, float, float, float]] = []
    for name, score in scores.items():
        low, high = score.interval
        table.append((name, score.decided - score.killed, score.decided, 1 - (score.value or 0.0), 1 - high, 1 - low))
    table.sort(key=lambda each: (each[3], each[0]))
    figure, axis = _figure(0.9 + 0.22 * len(table))
    for place, (_, _, decided, share, low, high) in enumerate(table):
        axis.plot([100 * low, 100 * high], [place, place], color=_DARK, linewidth=1.2, zorder=1)
        axis.scatter([100 * share], [place], s=22, color=_BLUE, zorder=2)
        axis.annotate(f"n = {decided}", (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7)
    axis.set_yticks(range(len(table)), [each[0] for each in table], fontsize=7)
    axis.set_ylim(-0.7, len(table) - 0.3)
    axis.set_xlim(-2, 102)
    axis.set_xlabel("mutants that survive (%), with 95 % Wilson interval")
    axis.grid(axis="x", color="0.9")
    return Picture(
        "survivors_by_operator",
        "Share of mutants that survive, by operator (dots), with 95 % Wilson intervals (lines); n is the number of "
        "mutants that were killed or survived. A mutant on two devices counts twice.",
        figure,
        ("operator", "survived", "decided", "share", "low", "high"),
        tuple(table),
    )


def _rungs(rows: Sequence[MutantRow]) -> Picture | None:
    """How many mutants got to each rung."""
    counts = Counter(row.rung for row in rows)
    reached = [(str(rung), sum(counts[each] for each in Rung if each >= rung)) for rung in Rung]
    if not rows:
        return None
    figure, axis = _figure(2.4)
    axis.barh(range(len(reached)), [count for _, count in reached], color=_BLUE)
    for place, (_, count) in enumerate(reached):
        axis.annotate(f" {count} ({100 * count / len(rows):.0f} %)", (count, place), va="center", fontsize=8)
    axis.set_yticks(range(len(reached)), [name for name, _ in reached])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.2 * len(rows))
    axis.set_xlabel("mutants that got at least this far")
    return Picture(
        "rungs",
        f"How far the faults of {len(rows)} mutants got: each bar counts the mutants that got to this rung or beyond.",
        figure,
        ("rung", "mutants"),
        tuple(reached),
    )


def _where_faults_stop(rows: Sequence[MutantRow]) -> Picture | None:
    """Function by rung: where faults were put, and how far those got."""
    counts: defaultdict[str, Counter[Rung | None]] = defaultdict(Counter)
    for row in rows:
        counts[_function(row)][row.rung] += 1
    if not counts:
        return None
    names = sorted(counts, key=lambda name: (-counts[name].total(), name))[:_MOST_FUNCTIONS]
    rungs = [rung for rung in Rung if any(each[rung] for each in counts.values())]
    numbers = np.array([[counts[name][rung] for rung in rungs] for name in names])
    shares = np.where(numbers, 100 * numbers / numbers.sum(axis=1, keepdims=True), np.nan)
    labels = [[f"{count}" if count else "" for count in line] for line in numbers]
    figure, axis = _figure(1.2 + 0.22 * len(names))
    image = _matrix(axis, shares, labels, [str(rung) for rung in rungs], names)
    axis.tick_params(axis="y", labelsize=7)
    figure.colorbar(image, ax=axis, shrink=0.8).set_label("mutants of the function (%)", fontsize=8)
    more = f" The {_MOST_FUNCTIONS} functions with most mutants of {len(counts)}." if len(counts) > len(names) else ""
    return Picture(
        "where_faults_stop",
        "The last rung that faults got to (columns), by the function in which they are (rows); each number counts "
        f"mutants, the colour is their share of the function's mutants. Hatched: none.{more}",
        figure,
        ("function", *map(str, rungs)),
        tuple((name, *(counts[name][rung] for rung in rungs)) for name in sorted(counts)),
    )


def _sensitivity(rows: Sequence[MutantRow]) -> Picture | None:
    """How many inputs notice a fault, by the function that has the fault."""
    shares: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row.outcome is Outcome.COMPLETED and row.noticed:
            shares[_function(row)].append(100 * row.noticed[0].inputs / row.inputs)
    if not shares:
        return None
    busiest = sorted(shares, key=lambda name: (-len(shares[name]), name))[:_MOST_FUNCTIONS]
    names = sorted(busiest, key=_by_number)
    figure, axis = _figure(0.9 + 0.2 * len(names))
    for place, name in enumerate(names):
        own = shares[name]
        axis.barh(place, np.mean(own), height=0.7, color=_ORANGE, zorder=1)
        axis.scatter(own, [place] * len(own), s=9, color=_BLUE, alpha=0.6, linewidths=0, zorder=2)
        axis.annotate(f"n = {len(own)}", (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7)
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(-2, 102)
    axis.set_xlabel("inputs on which the oracle notices the mutant (%)")
    axis.grid(axis="x", color="0.9", zorder=0)
    more = f" The {_MOST_FUNCTIONS} functions with most mutants of {len(shares)}." if len(shares) > len(names) else ""
    return Picture(
        "sensitivity",
        "Sensitivity of the network: the share of inputs on which the oracle of the verdicts notices a mutant, for "
        "each completed mutant (dots) and in the mean (bars), by the function with the fault, in the order of TVM's "
        f"numbers, which follow the network; n is the number of mutants.{more}",
        figure,
        ("function", "mutants", "mean_noticed_percent"),
        tuple((name, len(shares[name]), float(np.mean(shares[name]))) for name in sorted(shares, key=_by_number)),
    )


def _by_number(name: str) -> tuple[tuple[str, int], ...]:
    """A key that sorts the numbers at the ends of words by value; a word without a number comes first."""
    return tuple((word.rstrip(digits), int(word[len(word.rstrip(digits)) :] or 0)) for word in name.split("_"))


def _devices(results: Results) -> Picture | None:
    """Discrepancies between devices: a matrix of devices, or dots by category for two devices."""
    table = cross_devices(results)
    names = [row.name for row in results.devices]
    rows = tuple(
        (each.category, each.first_device, each.second_device, behaviour, each.mutants, getattr(each, behaviour),
         each.largest_of(behaviour))
        for each in table
        for behaviour in BEHAVIOURS
    )  # fmt: skip
    shown = [behaviour for behaviour in BEHAVIOURS if behaviour != "unknown" or any(each.unknown for each in table)]
    if not table:
        return None
    caption = (
        "The largest share of inputs (%) that two devices label differently for one mutant, beyond the inputs on which "
        "the unmutated builds differ, by whether the mutant accesses memory outside its buffers; "
    )
    if len(names) == 2:
        figure, axis = _figure(1.2 + 0.3 * len(table))
        for behaviour, marker, colour in zip(shown, "osv", (_BLUE, _ORANGE, _DARK), strict=False):
            sizes = [100 * (each.largest_of(behaviour) or 0.0) for each in table]
            axis.scatter(sizes, range(len(table)), marker=marker, color=colour, s=28, label=behaviour, alpha=0.85)
        axis.set_yticks(range(len(table)), [f"{each.category} (n = {each.mutants})" for each in table], fontsize=8)
        axis.invert_yaxis()
        axis.set_xlim(-2, 102)
        axis.grid(axis="x", color="0.9")
        axis.set_xlabel(f"inputs with other labels on {names[1]} than on {names[0]} (%)")
        axis.legend(title="behaviour", fontsize=8)
        caption += "n is the number of mutants that completed on both."
    else:
        whole = [each for each in table if each.category == ALL] or table
        figure, axes = _figure(0.6 + 0.55 * len(names), panels=len(shown))
        image: Any = None
        for axis, behaviour in zip(axes, shown, strict=True):
            values = np.full((len(names), len(names)), np.nan)
            labels = [[""] * len(names) for _ in names]
            for each in whole:
                at = names.index(each.first_device), names.index(each.second_device)
                for down, across in (at, at[::-1]):
                    values[down, across] = 100 * (each.largest_of(behaviour) or 0.0)
                    labels[down][across] = f"{values[down, across]:.0f} %\nn = {each.mutants}"
            image = _matrix(axis, values, labels, names, names)
            axis.set_title(f"{behaviour} behaviour", fontsize=9)
        figure.colorbar(image, ax=axes, shrink=0.8).set_label("inputs with other labels (%)", fontsize=8)
        caption += "n is the number of mutants that completed on both devices. Hatched: no data."
    header = ("category", "first_device", "second_device", "behaviour", "mutants", "differing", "largest_share")
    return Picture("devices", caption, figure, header, rows)


def _figure(height: float, panels: int = 0) -> tuple[Figure, Any]:
    """A figure as wide as a page with one axis, or with a list of ``panels``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(1, panels or 1, squeeze=False)[0]
    return figure, [*axes] if panels else axes[0]


def _matrix(
    axis: Axes, values: np.ndarray, labels: Sequence[Sequence[str]], across: Sequence[str], down: Sequence[str]
) -> Any:
    """Percentages as coloured cells with labels; a cell of NaN is hatched."""
    image = axis.imshow(np.ma.masked_invalid(values), cmap=_COLOURS, vmin=0, vmax=100, aspect="auto")
    axis.patch.set(hatch="////", facecolor="white", edgecolor="0.7")
    for (row, column), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if value < 55 else "black"
            axis.text(column, row, labels[row][column], ha="center", va="center", fontsize=7, color=colour)
    axis.set_xticks(range(len(across)), across, rotation=30, ha="right", fontsize=8)
    axis.set_yticks(range(len(down)), down, fontsize=8)
    return image


def _function(row: MutantRow) -> str:
    """The function of a mutant as its id names it, with the slot."""
    return f"{row.slot}/{row.id.partition('@')[2].partition('#')[0]}"
