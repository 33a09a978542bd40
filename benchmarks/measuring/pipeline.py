"""What became of faults in the compiler's passes, over several models: did anything notice?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]

SAME_CODE = "same code"
SAME_BITS = "other code, same bits"
OTHER_BITS = "other bits, same labels"
OTHER_LABELS = "other labels"
RUN_ENDED = "run ended early"  # exception, crash or timeout of what was compiled
COMPILE_ERROR = "compile error"
COMPILER_DIED = "compiler died"
# From what nobody can notice to what nobody can overlook.
CLASSES = (SAME_CODE, SAME_BITS, OTHER_BITS, OTHER_LABELS, RUN_ENDED, COMPILE_ERROR, COMPILER_DIED)


def class_of(row: Row) -> str:
    """What became of one fault on one model and device."""
    if row["outcome"] == "compile error":
        return COMPILER_DIED if row["reason"].startswith("compile error: SIG") else COMPILE_ERROR
    if row["outcome"] != "completed":
        return RUN_ENDED
    if row["verdict"] == "equivalent":
        return SAME_CODE
    if row["changed_labels"]:
        return OTHER_LABELS
    return OTHER_BITS if row["bitwise_equal"] < row["inputs"] else SAME_BITS


def by_fault(rows: Iterable[Row]) -> dict[tuple[str, str], Counter[str]]:
    """For each fault on each device, by id and device: on how many models it came to what."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        found[row["id"], row["device"]][class_of(row)] += 1
    return dict(found)


def loudest(classes: Mapping[str, int]) -> str:
    """The class in which a fault is easiest to notice, of those that it came to on any model."""
    return max(classes, key=CLASSES.index)


def counts(faults: Mapping[tuple[str, str], Mapping[str, int]]) -> dict[tuple[str, str], Counter[str]]:
    """How many faults came at most to each class, by operator and device."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (mutant, device), classes in faults.items():
        found[mutant.partition("{")[0], device][loudest(classes)] += 1
    return dict(found)


def told(mutant: str, devices: Mapping[str, Mapping[str, int]]) -> str:
    """A fault with what it came to on each device, the numbers of models where these differ."""
    parts = defaultdict(list)
    for device, classes in devices.items():
        parts[_classes(classes)].append(device)
    return f"{mutant}: " + "; ".join(f"{' and '.join(names)}: {classes}" for classes, names in parts.items())


def _classes(classes: Mapping[str, int]) -> str:
    if len(classes) == 1:
        return next(iter(classes))
    return ", ".join(f"{classes[each]} x {each}" for each in CLASSES if classes.get(each))
