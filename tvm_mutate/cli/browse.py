"""The terminal application of ``tvm-mutate browse``: the only module that imports Textual."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.syntax import Syntax
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from tvm_mutate.errors import UsageError
from tvm_mutate.report import Places
from tvm_mutate.report.findings import by_effect, show_command, status_of
from tvm_mutate.results import MutantRow, Results, accept, read_accepted, with_accepted

# The id comes last: it is the longest, and a narrow terminal shows the other columns in full.
_COLUMNS: dict[str, Callable[[MutantRow], str]] = {
    "verdict": status_of,
    "rung": lambda row: str(row.rung or ""),
    "device": lambda row: row.device,
    "model": lambda row: row.model,
    "mutant": lambda row: row.id,
}
_ALL = "all"


class Browser(App[None]):
    """The mutants of a campaign as a table to filter and sort; ``file`` has the accepted survivors, or gets them."""

    CSS = """
    #status, #about { padding: 0 1; color: $text-muted; }
    Difference { background: $background; }
    Reason { align: center middle; }
    Reason Input { width: 90%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("v", "verdict", "Verdict"),
        *(
            Binding(str(number), f"sort({name!r})", "Sort", show=number == 1, key_display=f"1-{len(_COLUMNS)}")
            for number, name in enumerate(_COLUMNS, start=1)
        ),
        Binding("a", "accept", "Accept"),
        Binding("escape", "table", "Table", show=False),
        Binding("q", "quit", "Quit"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, results: Results, file: Path) -> None:
        super().__init__()
        self.title = ", ".join(model.name for model in results.models)
        self._file = file
        self._results, _ = with_accepted(results, read_accepted(file) if file.exists() else ())
        self._places = Places(results)
        self._verdict = _ALL
        self._sorted_by, self._backwards = "", False
        self.shown: list[MutantRow] = []

    def compose(self) -> ComposeResult:
        """The filter, the table, and a line that says what is shown."""
        yield Input(placeholder="filter: words that the row has, such as tir. survived", compact=True)
        yield DataTable(cursor_type="row")
        yield Static(id="status", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Fills the table; the largest effects come first."""
        self._table.add_columns(*((f"{number} {name}", name) for number, name in enumerate(_COLUMNS, start=1)))
        self._fill()
        self._table.focus()

    @property
    def _table(self) -> DataTable[Text]:
        return self.screen_stack[0].query_one(DataTable)

    def _fill(self) -> None:
        """Shows the rows that the filters leave, in order; the cursor stays on its mutant if that is shown."""
        words = self.screen_stack[0].query_one(Input).value.lower().split()
        selected = self._selected()
        found = [row for row in sorted(self._results.mutants, key=by_effect) if self._verdict in (_ALL, status_of(row))]
        texts = {id(row): " ".join(column(row) for column in _COLUMNS.values()).lower() for row in found}
        found = [row for row in found if all(word in texts[id(row)] for word in words)]
        if self._sorted_by == "rung":
            found.reverse()  # by the effect
        elif self._sorted_by:
            found.sort(key=_COLUMNS[self._sorted_by])
        self.shown = found[::-1] if self._backwards else found
        self._table.clear()
        for row in self.shown:
            self._table.add_row(*(Text(column(row)) for column in _COLUMNS.values()))
        same = [number for number, row in enumerate(self.shown) if selected and row.key == selected.key]
        self._table.move_cursor(row=same[0] if same else 0)
        order = f"{self._sorted_by}, backwards" if self._backwards else self._sorted_by or "effect"
        counted = f"{len(self.shown)} of {len(self._results.mutants)} mutants"
        self.screen_stack[0].query_one("#status", Static).update(
            f"{counted}; verdict: {self._verdict}; by {order}; Enter: difference"
        )

    def _selected(self) -> MutantRow | None:
        number = self._table.cursor_row
        return self.shown[number] if number < len(self.shown) else None

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filters while the user types."""
        if event.input.screen is self.screen_stack[0]:
            self._fill()

    def on_input_submitted(self) -> None:
        """Ends the filter."""
        self.action_table()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sorts by the column that is clicked."""
        self.action_sort(str(event.column_key.value))

    def on_data_table_row_selected(self) -> None:
        """Opens the difference of the mutant."""
        if row := self._selected():
            about = f"{row.id}\n{status_of(row)}: {row.accepted or row.reason}\n"
            command = show_command(row, self._results.models, self._results.devices)
            self.push_screen(Difference(about + command, lambda: self._difference(row)))

    def _difference(self, row: MutantRow) -> str:
        place = self._places.of(row)
        return place.difference or self._places.files[place.file].text

    def action_filter(self) -> None:
        """Moves to the filter."""
        self.query_one(Input).focus()

    def action_table(self) -> None:
        """Moves back to the table."""
        self._table.focus()

    def action_verdict(self) -> None:
        """Shows the mutants of the next verdict."""
        verdicts = [_ALL, *sorted(set(map(status_of, self._results.mutants)))]
        self._verdict = verdicts[(verdicts.index(self._verdict) + 1) % len(verdicts)]
        self._fill()

    def action_sort(self, column: str) -> None:
        """Sorts by the column; a second time backwards."""
        self._backwards = column == self._sorted_by and not self._backwards
        self._sorted_by = column
        self._fill()

    def action_accept(self) -> None:
        """Asks for the reason, then accepts the survivor."""
        if (row := self._selected()) is not None and isinstance(self.focused, DataTable):
            self.push_screen(Reason(), lambda reason: self._accept(row, reason or ""))

    def _accept(self, row: MutantRow, reason: str) -> None:
        if not reason.strip():
            return
        try:
            entries = accept(self._results, [row.id], reason, self._file)
        except UsageError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._results, _ = with_accepted(self._results, entries)
        if self._verdict not in (_ALL, *map(status_of, self._results.mutants)):
            self._verdict = _ALL
        self._fill()
        self.notify(f"{self._file}: {len(entries)} accepted", markup=False)


class Difference(ModalScreen[None]):
    """What a mutant changes, below a text about it.

    ``find`` gives the difference; it is called in a thread, because the first mutant of a model loads and lowers it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "Back", key_display="Esc")]

    def __init__(self, about: str, find: Callable[[], str]) -> None:
        super().__init__()
        self._about, self._find = about, find

    def compose(self) -> ComposeResult:
        """The text and the difference, which scrolls."""
        yield Static(self._about, id="about", markup=False)
        with VerticalScroll():
            yield Static("the model is loaded …", id="difference", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Starts the search for the difference."""
        self._show()

    @work(thread=True)
    def _show(self) -> None:
        text = Syntax(self._find(), "diff", background_color="default", word_wrap=True)
        self.app.call_from_thread(self.query_one("#difference", Static).update, text)


class Reason(ModalScreen[str]):
    """Asks for the reason of an acceptance; Escape gives up."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Back")]

    def compose(self) -> ComposeResult:
        """One field."""
        yield Input(placeholder="why is this survivor accepted? (Enter accepts, Esc goes back)")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Ends with the reason."""
        event.stop()
        self.dismiss(event.value)
