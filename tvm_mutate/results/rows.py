"""The rows of a campaign's results, from the evaluator to every report; ``results.json`` and its schema follow them."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.mutant import Category, Slot
from tvm_mutate.oracle import Behaviour, LatencyTest, Outcome, Rung, Verdict
from tvm_mutate.results.score import Score, score_of
from tvm_mutate.scenario import Scenario
from tvm_mutate.text_enum import TextEnum

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION: Literal[2] = 2

Name = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=0)]
Size = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Correlation = Annotated[float, Meta(ge=-1, le=1)]
Labels = Annotated[tuple[int, ...], Meta(description="One class index an input, -1 for none.")]


class EvaluationPath(TextEnum):
    """How a mutant was evaluated: kernel by kernel, or as a rebuilt model."""

    CONTENT = "content"
    REBUILD = "rebuild"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of results; a notebook shows the fields that have a value."""

    def _repr_html_(self) -> str:
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return _html_table([(name, str(value)) for name, value in fields if value not in (None, "", ())])


class Environment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The versions, operating system and machine of a campaign; a file may hold more than is named here."""

    versions: dict[str, str]
    python: str = ""
    platform: str = ""
    machine: str = ""
    processor: str = ""
    cores: int | None = None


class FlowRow(Row, frozen=True, kw_only=True):
    """The user's pipelines and options of the pass context; ``config`` has JSON texts by key."""

    relax_pipeline: str
    tir_pipeline: str
    config: tuple[tuple[str, str], ...]
    digest: str


class ModelRow(Row, frozen=True, kw_only=True):
    """A model with its inputs; ``calls`` are the functions that are called for each input, in order.

    ``scenario`` is the one that the user gave in place of the model's own. ``inputs_source`` says where the inputs come
    from; ``simplified`` says by which library the model was simplified before the import, or is empty.
    """

    name: Name
    reference: str
    model_digest: str
    inputs_digest: str
    input_count: Annotated[int, Meta(ge=1)]
    labels: Labels | None
    shape: tuple[tuple[str, tuple[int, ...]], ...]
    calls: tuple[str, ...] = ()
    scenario: Scenario | None = None
    inputs_source: str = ""
    simplified: str = ""


class DeviceRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """A device of a campaign; ``session`` is empty for a local device.

    ``flow`` is None if builds go through TVM's own pipelines.
    """

    name: Name
    target: str
    session: str = ""
    compiler: str = ""
    flags: tuple[str, ...] = ()
    flow: FlowRow | None = None


class BaselineRow(Row, frozen=True, kw_only=True):
    """The unmutated build of a model on a device.

    ``noise_floor`` is the largest absolute difference between two runs. ``same_code`` says whether a second build had
    the same code or, kernel by kernel, gave the same bits. ``golden`` is the number of inputs whose values are kept at
    every step for evaluation by content, and None without it; ``golden_reason`` then says why. The first of
    ``oracles`` gives the verdicts.
    """

    model: Name
    device: Name
    digest: str
    labels: Labels | None
    accuracy: Share | None
    build_seconds: Size
    run_seconds: Size
    noise_floor: Size
    same_code: bool
    golden: Count | None
    golden_reason: str
    oracles: tuple[Name, ...] = ()


class CanaryRow(Row, frozen=True, kw_only=True):
    """The verdict on a canary of a model on a device; ``ok`` if the verdict is the known one."""

    device: Name
    model: Name
    canary: Name
    id: Name
    verdict: Verdict | None
    ok: bool
    reason: str


class AbsentRow(Row, frozen=True, kw_only=True):
    """A variant of an operator that has no mutant of the model on the device, and why."""

    id: Name
    model: Name
    device: Name
    reason: str


class NoticedRow(Row, frozen=True, kw_only=True):
    """What an oracle found in a mutant: the inputs that it noticed, and the mean of the number that it measured.

    The mean is over the inputs with other bits than golden; None if there are none.
    """

    oracle: Name
    inputs: Count
    number: float | None


class MutantRow(Row, frozen=True, kw_only=True):
    """One mutant on one device; the figures are None if the mutant did not complete. The order is that of the CSV file.

    Figures of labels and rankings are None if the model is no classifier, too.

    ``verdict`` is None if the mutant says nothing of the oracle; ``rung`` is None if the mutant was not applied.
    ``evaluation_reason`` says why a mutant was rebuilt although kernels should be run. ``kernel_seconds`` is the time
    inside kernels that ran one by one. ``undefined`` lists accesses outside buffers or of memory never written, and is
    None if nobody looked for them. ``code_digest`` is equal for mutants of one model, device and way of evaluation
    with equal code; ``outputs_digest`` (128 bits of xxHash) is equal for equal scores. ``duplicate_of`` is the first
    mutant with the same code. ``place_digest`` (SHA-256) is that of the unmutated functions that the mutant is for.
    ``carried`` marks a row from an earlier campaign. ``accepted`` is the reason for which a user accepts this survivor.
    """

    model: Name
    device: Name
    id: Name
    operator: Name
    category: Category
    slot: Slot
    outcome: Outcome
    verdict: Verdict | None
    rung: Rung | None
    reason: str
    sites: Count
    functions: Count
    inputs: Annotated[int, Meta(ge=1)]
    bitwise_equal: Count | None
    changed_labels: Count | None
    dissimilarity: Share | None
    accuracy: Share | None
    golden_accuracy: Share | None
    top_k_overlap: Share | None
    max_abs_diff: Size | None
    max_rel_diff: Size | None
    nan_count: Count | None
    inf_count: Count | None
    kendall_tau: Correlation | None
    rank_biased_overlap: Share | None
    same_label_for_every_input: bool | None
    build_seconds: Size
    run_seconds: Size | None
    evaluation: EvaluationPath
    evaluation_reason: str
    kernel_runs: Count | None
    kernel_seconds: Size | None
    masked_by: tuple[str, ...] | None
    undefined: tuple[str, ...] | None
    code_digest: str | None
    outputs_digest: str | None
    proof: str | None
    duplicate_of: str | None
    place_digest: str | None
    carried: bool
    noticed: tuple[NoticedRow, ...] = ()
    labels: Labels | None
    latency: LatencyTest | None
    accepted: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells the rows of a campaign apart: id, model and device."""
        return self.id, self.model, self.device

    @property
    def is_survivor(self) -> bool:
        """Whether the mutant survived, and nobody has accepted that."""
        return self.verdict is Verdict.SURVIVED and self.accepted is None

    @property
    def is_compiler_fault(self) -> bool:
        """Whether the mutant is a fault of the compiler itself: such mutants are counted apart and are in no score."""
        return self.category is Category.COMPILER_PASSES

    @property
    def is_applied(self) -> bool:
        """Whether the mutant changed the program; only then is there a rung."""
        return self.rung is not None


class DiscrepancyRow(Row, frozen=True, kw_only=True):
    """How differently two devices label and compute a mutant; shares are None unless it completed on both.

    ``beyond_share`` is the part of ``share`` on which the unmutated builds agree. ``max_abs_diff`` is the largest
    finite difference between scores; ``floor`` that of the unmutated builds plus the noise of both devices;
    ``beyond_floor`` the number of inputs with a score that differs by more. ``behaviour`` says whether the mutant
    accesses memory outside its buffers, and is None without a discrepancy.
    """

    id: Name
    model: Name
    category: Category
    devices: tuple[Name, Name]
    share: Share | None
    unmutated_share: Share | None
    beyond_share: Share | None
    outcomes: tuple[Outcome, Outcome]
    max_abs_diff: Size | None
    floor: Size | None
    beyond_floor: Count | None
    behaviour: Behaviour | None

    @property
    def is_discrepant(self) -> bool:
        """Whether labels, scores or outcomes differ by more than those of the unmutated builds."""
        ended = {*self.outcomes}
        differently = len(ended) > 1 and ended.isdisjoint({Outcome.COMPILE_ERROR, Outcome.DEVICE_LOST})
        return bool(differently or self.beyond_share or self.beyond_floor)


class AgreementRow(Row, frozen=True, kw_only=True):
    """How far the unmutated builds of a model agree between two devices; sizes are None if scores are not known.

    ``bitwise_equal`` is the number of inputs whose scores have equal bits.
    """

    model: Name
    devices: tuple[Name, Name]
    inputs: Count
    differing_labels: Count | None
    differing_inputs: tuple[int, ...] | None
    bitwise_equal: Count | None
    max_abs_diff: Size | None
    max_rel_diff: Size | None
    floor: Size | None


class AccessRow(Row, frozen=True, kw_only=True):
    """An undefined access; ``expression`` is TVMScript or C, and empty if only the effect of the access was seen."""

    kernel: Name
    kind: Literal["read", "write", ""]
    expression: str
    evidence: Literal["indices", "red zones", "conversions", "AddressSanitizer", "code", "crash"]
    detail: str


class UndefinedRow(Row, frozen=True, kw_only=True):
    """The accesses of one mutant, compiled for ``target``: what each way of looking found."""

    id: Name
    model: Name
    target: Name
    behaviour: Behaviour
    kernels: tuple[str, ...]
    accesses: tuple[AccessRow, ...]
    indices: str
    red_zones: str
    sanitizer: str


class Results(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a campaign found, as in ``results.json``."""

    environment: Environment
    models: tuple[ModelRow, ...]
    devices: tuple[DeviceRow, ...]
    baselines: tuple[BaselineRow, ...]
    canaries: tuple[CanaryRow, ...]
    mutants: tuple[MutantRow, ...]
    absent: tuple[AbsentRow, ...]
    discrepancies: tuple[DiscrepancyRow, ...]
    agreements: tuple[AgreementRow, ...] = ()
    undefined: tuple[UndefinedRow, ...] = ()
    schema_version: Literal[2] = SCHEMA_VERSION

    @property
    def score(self) -> Score:
        """The mutation score; faults of the compiler itself and accepted survivors are not in it."""
        return score_of(row.verdict for row in self.mutants if not row.is_compiler_fault and row.accepted is None)

    def to_pandas(self, table: str = "mutants") -> pandas.DataFrame:
        """A table of the results, such as ``mutants`` or ``discrepancies``, with a column for each field of its rows.

        Raises UsageError for another table, and if pandas is missing.
        """
        tables = [name for name in self.__struct_fields__ if isinstance(getattr(self, name), tuple)]
        if table not in tables:
            raise UsageError(f"there is no table {table!r}{suggestion(table, tables)}")
        try:
            import pandas
        except ImportError:
            raise UsageError("tables need pandas: pip install 'tvm-mutate[pandas]'") from None
        return pandas.DataFrame(msgspec.to_builtins(getattr(self, table)))

    def _repr_html_(self) -> str:
        """The score, and how many mutants of each model and device have each verdict, for notebooks."""
        low, high = self.score.interval
        score = "none" if self.score.value is None else f"{100 * self.score.value:.1f} %"
        line = f"Mutation score {score} ({self.score.killed} of {self.score.decided} killed; 95 % interval "
        counts = Counter((row.model, row.device, str(row.verdict or row.outcome)) for row in self.mutants)
        rows = [(*key, str(number)) for key, number in sorted(counts.items())]
        return f"<p>{line}{100 * low:.1f} to {100 * high:.1f} %)</p>" + _html_table(rows)


def check_same_oracles(parts: Iterable[Results]) -> None:
    """Raises UsageError for a model that has its verdicts from different oracles."""
    known: dict[str, str] = {}
    for row in (row for each in parts for row in each.baselines if row.oracles):
        if (first := known.setdefault(row.model, row.oracles[0])) != row.oracles[0]:
            raise UsageError(f"the verdicts on {row.model} are by {first} and by {row.oracles[0]}; take one --oracle")


def _html_table(rows: Iterable[Iterable[str]]) -> str:
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"
