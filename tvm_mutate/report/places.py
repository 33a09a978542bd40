"""Where the mutants of a campaign are: file and lines in the lowered model, and what they change there."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tvm_mutate.errors import MutateError
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Catalogue, Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import TVM_FLOW, Flow, Fused, Stages
from tvm_mutate.report.changes import Change, Changes
from tvm_mutate.results import FlowRow, ModelRow, MutantRow, Results

SOURCE_MISSING = "# The text of this function is missing: {}.\n"
_CONTEXT = 3
_MOST_LINES = 200  # of one mutant: a mutant of all sites changes nearly all kernels


@dataclass(frozen=True)
class SourceFile:
    """The unmutated text of a function; ``language`` is ``python`` for TVMScript, ``c`` for generated code."""

    language: str
    text: str


@dataclass(frozen=True)
class Place:
    """The lines ``first`` to ``last`` (from 1) of a file that a mutant replaces, and the difference in full."""

    file: str
    first: int
    last: int
    replacement: str
    difference: str


@dataclass
class Places:
    """The places of the mutants of a campaign; ``files`` gets the unmutated text of each file that is named.

    A file is ``model/slot/function``, with the device in front of the slot if there are several. ``step`` is called
    after each mutant. No place is found for a model that cannot be loaded or has changed: the text says why.
    """

    results: Results
    step: Callable[[], None] = lambda: None
    files: dict[str, SourceFile] = field(default_factory=dict)
    _catalogue: Catalogue = field(default_factory=load_catalogue)
    _models: dict[tuple[str, FlowRow | None], Fused | str] = field(default_factory=dict)
    _changes: dict[tuple[str, str], Changes | str] = field(default_factory=dict)

    def of(self, row: MutantRow) -> Place:
        """The place of a mutant: of the first function that it changes."""
        folder = f"{row.model}/{row.device}" if len(self.results.devices) > 1 else row.model
        found = self._found(row)
        self.step()
        if isinstance(found, list):
            first = found[0]
            text = "\n".join(line for each in found for line in each.differences(_CONTEXT))
            language = "c" if first.place.startswith(f"{Slot.TEXT}/") else "python"
            file = f"{folder}/{first.place}"
            self.files.setdefault(file, SourceFile(language, first.before))
            return place_in(file, first, _cut(text))
        file = f"{folder}/{row.slot}/{row.id.partition('@')[2].partition('#')[0]}"
        self.files.setdefault(file, text_file(SOURCE_MISSING.format(found)))
        return Place(file, 1, 1, "", "")

    def _found(self, row: MutantRow) -> list[Change] | str:
        """The changes of a mutant; otherwise the reason why they are not known."""
        changes = self._changes_of(row)
        if isinstance(changes, str):
            return changes
        try:
            selections = selections_by_slot(self._catalogue.parse(row.id).mutations, self._catalogue)
            return list(changes.of(selections)) or "the mutant changes no text"
        except MutateError as error:
            return str(error)

    def _changes_of(self, row: MutantRow) -> Changes | str:
        key = row.model, row.device
        if key not in self._changes:
            device = next(each for each in self.results.devices if each.name == row.device)
            model = self._model(next(each for each in self.results.models if each.name == row.model), device.flow)
            self._changes[key] = (
                model if isinstance(model, str) else Changes(Stages(model, parse_target(device.target)))
            )
        return self._changes[key]

    def _model(self, row: ModelRow, through: FlowRow | None) -> Fused | str:
        key = row.name, through
        if key not in self._models:
            try:
                model = load_model(row.reference, shape=dict(row.shape), scenario=row.scenario)
                flow = _flow(through)
            except MutateError as error:
                self._models[key] = str(error)
            else:
                changed = model.digest != row.model_digest or flow.digest != (through.digest if through else "")
                self._models[key] = (
                    f"{row.reference} has changed since the campaign" if changed else Fused(model.module, flow=flow)
                )
        return self._models[key]


def _flow(row: FlowRow | None) -> Flow:
    if row is None:
        return TVM_FLOW
    config = {key: json.loads(text) for key, text in row.config}
    return Flow.read(row.relax_pipeline, row.tir_pipeline, config)


def text_file(text: str) -> SourceFile:
    """A file that holds a note only."""
    return SourceFile("python", text)


def place_in(file: str, change: Change, difference: str) -> Place:
    """The place of a change in its file: from its first to its last changed line."""
    before, after = change.before.splitlines(), change.after.splitlines()
    blocks = [block for block in difflib.SequenceMatcher(a=before, b=after).get_opcodes() if block[0] != "equal"]
    if not blocks:  # another constant with the same name
        return Place(file, 1, 1, "", difference)
    (_, first, _, new_first, _), (_, _, last, _, new_last) = blocks[0], blocks[-1]
    if first == last:  # added lines only: the line that they are put before, or the last one
        shift = int(first == len(before))
        first, new_first = first - shift, new_first - shift
        last, new_last = first + 1, new_last + 1 - shift
    return Place(file, first + 1, last, _cut("\n".join(after[new_first:new_last])), difference)


def _cut(text: str) -> str:
    lines = text.splitlines()
    more = f"\n… {len(lines) - _MOST_LINES} more lines" if len(lines) > _MOST_LINES else ""
    return "\n".join(lines[:_MOST_LINES]) + more
