"""The functions of ``import tvm_mutate``: list and apply mutants, run campaigns, read results."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import tvm
from tvm import relax, tirx
from tvm.target import Target

from tvm_mutate.campaign import (
    LEAST_SECONDS,
    Campaign,
    Pair,
    Reporter,
    Specification,
    find_since,
    prepare_subjects,
    take_shard,
)
from tvm_mutate.campaign.survey import survey
from tvm_mutate.device import Device, held_folder, parse_devices, through, why_no_session
from tvm_mutate.errors import NotAppliedError, NotAppliedWarning, UsageError
from tvm_mutate.kernels import missing_compiler, parse_target
from tvm_mutate.model import RANDOM, Model, RandomInputs, check_reference, default_inputs
from tvm_mutate.mutant import Mutation, Operator, Slot, TirRule
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import (
    Applied,
    OnApplied,
    Selection,
    apply_mutations,
    native_mutation_pass,
    selections_by_slot,
    slot_passes,
)
from tvm_mutate.passes import mutant_passes as unchecked_passes
from tvm_mutate.pipeline import (
    TVM_FLOW,
    Flow,
    Stages,
    default_relax_pipeline,
    slotted_relax_pipeline,
    slotted_tir_pipeline,
)
from tvm_mutate.report.changes import Changes, Difference
from tvm_mutate.results import Results, read_accepted, read_json, with_accepted, write_json
from tvm_mutate.scenario import Scenario

# A device that does not answer at first is more likely misspelt than away for a moment.
_PATIENCE_SECONDS = 10.0
_ON_MODULES = tuple(slot for slot in Slot if slot not in (Slot.TEXT, Slot.PIPELINE))


def list_operators(names: Iterable[str] = ("*",)) -> list[Operator]:
    """The operators whose names match a glob of ``names``, in the order of the catalogue.

    ``default``, ``paper`` and ``pipeline`` are sets of operators. Raises UsageError if a glob matches no operator.
    """
    return load_catalogue().select(names)


def list_mutants(
    model: Model | tvm.IRModule,
    specification: Specification | None = None,
    *,
    target: str = "llvm",
    flow: Flow = TVM_FLOW,
) -> tuple[str, ...]:
    """The ids of the mutants that a campaign with this specification judges; builds nothing.

    Without a specification these are all default operators, each at all of its sites at once. ``flow`` is what
    builds go through. Raises UsageError for an
    unknown operator, site or target.
    """
    specification = checked(specification or Specification())
    pair = Pair("model", target)
    found = survey(_stages(model, target, flow), specification, load_catalogue())
    return take_shard({pair: found}, specification.shard)[pair].mutants


def lower(
    model: Model | tvm.IRModule, slot: Slot | str, *, target: str = "llvm", flow: Flow = TVM_FLOW
) -> tvm.IRModule:
    """The unmutated module as the passes of a slot get it: ``graph``, ``kernel``, ``lowered`` or ``codegen``.

    Raises UsageError for another slot or an unknown target.
    """
    if slot not in _ON_MODULES:
        raise UsageError(f"slot {str(slot)!r} has no module; there are {', '.join(map(str, _ON_MODULES))}")
    return _stages(model, target, flow).at(Slot(slot))


def apply(model: Model | tvm.IRModule, mutant: str) -> tvm.IRModule:
    """The module with the mutant applied.

    ``model`` is at the slot of the mutant: a model or Relax module for ``graph``, else what ``lower`` gives. Raises
    NotAppliedError if a mutation changes no function (compared structurally), and UsageError for an unknown mutant, for
    mutations in several slots, and for the slots ``text`` and ``pipeline``, which have no module.
    """
    module = model.module if isinstance(model, Model) else model
    slot, selections = _only_slot(mutant)
    mutated, report = apply_mutations(module, selections)
    for selection in selections:
        on_kernels = isinstance(selection.operator.rule, TirRule)
        kind, noun = (tirx.PrimFunc, "kernel") if on_kernels else (relax.Function, "Relax function")
        names = sorted(each.name_hint for each, function in module.functions.items() if isinstance(function, kind))
        if not names:
            remedy = f"; call tvm_mutate.lower(module, {str(slot)!r}) first" if on_kernels else ""
            raise NotAppliedError(f"mutant {selection.mutation}: the module has no {noun}{remedy}")
        if reason := _why_not_applied(selection.mutation, report, names):
            raise NotAppliedError(reason)
    return mutated


def difference(
    model: Model | tvm.IRModule,
    mutant: str,
    *,
    target: str = "llvm",
    flow: Flow = TVM_FLOW,
    context: int = 3,
    code: bool = False,
) -> Difference:
    """What a mutant changes, as ``tvm-mutate show`` prints it: a unified difference of TVMScript.

    With ``code`` the difference of the code that is generated for ``target`` follows; this needs no device. ``context``
    is the number of unchanged lines around a change. Raises UsageError for an unknown mutant or site, and if code
    cannot be generated.
    """
    catalogue = load_catalogue()
    parsed = catalogue.parse(mutant)
    stages = _stages(model, target, flow)
    survey(stages, Specification(mutants=(str(parsed),)), catalogue)  # refuses a site that does not exist
    return Changes(stages).difference(selections_by_slot(parsed.mutations, catalogue), context, code=code)


def mutant_passes(
    mutant: str, *, on_applied: OnApplied | None = None
) -> dict[Slot, tvm.transform.Pass | Callable[[str, str], str]]:
    """The passes of a mutant, by the slot of the pipeline in which each acts.

    Each is a ``tvm.transform.Pass`` for a pipeline of your own, in the slot ``text`` a function from generated code and
    the kind of its target to code. ``on_applied`` gets what each run applied to each function. A pass in the slots
    ``graph``, ``kernel`` and ``lowered`` warns (NotAppliedWarning) if a mutation changes nothing in a run. Raises
    UsageError for an unknown mutant, and for the slot ``pipeline``, which changes lists of passes.
    """
    parsed = load_catalogue().parse(mutant)
    passes = unchecked_passes(parsed, load_catalogue(), on_applied)
    for slot, selections in selections_by_slot(parsed.mutations, load_catalogue()).items():
        if slot not in (Slot.CODEGEN, Slot.TEXT):  # these run once for the host's functions and once for a GPU's
            passes.update(slot_passes({slot: selections}, _warning(selections, on_applied)))
    return passes


@contextlib.contextmanager
def mutated_pipelines(
    mutant: str,
    target: str | Target = "llvm",
    *,
    relax_pipeline: tvm.transform.Pass | None = None,
    tir_pipeline: str = "default",
    on_applied: OnApplied | None = None,
) -> Iterator[tuple[tvm.transform.Pass, str]]:
    """The Relax pipeline and the name of the TIR pipeline for ``tvm.compile``, with the mutant in its slots.

    The name is valid while the context lasts. ``relax_pipeline`` and ``tir_pipeline`` take the place of TVM's own.
    At the end it warns (NotAppliedWarning) if a mutation changed nothing in the builds that were made.
    Raises UsageError as ``mutant_passes`` does.
    """
    parsed = load_catalogue().parse(mutant)
    report: list[Applied] = []
    runs = 0

    def record(applied: Sequence[Applied]) -> None:
        nonlocal runs
        runs += 1
        report.extend(applied)
        if on_applied is not None:
            on_applied(applied)

    passes = unchecked_passes(parsed, load_catalogue(), record)
    if relax_pipeline is None:
        pipeline = default_relax_pipeline(parse_target(target), passes.get(Slot.CALL), passes.get(Slot.MEMORY))
    elif Slot.CALL in passes or Slot.MEMORY in passes:
        raise UsageError(f"mutant {parsed} acts inside TVM's default Relax pipeline: leave relax_pipeline out")
    else:
        pipeline = relax_pipeline
    with slotted_tir_pipeline(passes, tir_pipeline) as name:
        yield slotted_relax_pipeline(passes, pipeline), name
    if runs:
        _warn(parsed.mutations, report)


def native_pass(mutant: str, *, on_applied: OnApplied | None = None) -> tvm.transform.Pass:
    """The pass of a mutant of kernels in C++: the same sites and replacements as in Python.

    Raises UsageError if the native library is not there, or lacks an operator of the mutant.
    """
    catalogue = load_catalogue()
    mutations = catalogue.parse(mutant).mutations
    return native_mutation_pass([Selection.resolve(mutation, catalogue) for mutation in mutations], on_applied)


def run_campaign(
    model: str | Path,
    inputs: str | Path | Mapping[str, str | Path] | None = None,
    *,
    output: str | Path,
    specification: Specification | None = None,
    devices: Sequence[str | Device] = ("llvm",),
    labels: str | Path | None = None,
    limit: int | None = None,
    shape: Mapping[str, Sequence[int]] | None = None,
    recipe: str | None = None,
    preprocessing: Mapping[str, object] | None = None,
    scenario: Scenario | None = None,
    random: RandomInputs | None = None,
    relax_pipeline: str | None = None,
    tir_pipeline: str | None = None,
    config: Mapping[str, object] | None = None,
    timeout: float = LEAST_SECONDS,
    workers: int = 0,
    memory: int | None = None,
    iterate: str | Path | None = None,
    since: str | Path | None = None,
    since_git: str | None = None,
    name_undefined: str = "discrepant",
    accepted: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Results:
    """Judges the mutants of a model on devices and inputs, as ``tvm-mutate run`` does; returns the typed results.

    The folder ``output`` gets ``results.json`` and a journal: the same call resumes an interrupted campaign.

    * ``model``: a file, ``zoo://NAME`` or ``real://NAME``, as ``load_model`` reads it; worker processes load it;
    * ``inputs``: a folder of images, an ``.npz`` or ``.npy`` file, ``file.py:function``, or files by name of the input,
      as ``load_inputs`` reads them; without them the inputs of the zoo for its models, else random ones;
    * ``specification``: which mutants are judged, and by which oracle;
    * ``devices``: texts as for the option ``--device``;
    * ``labels``: a CSV file; ``limit``: the largest number of inputs, which are evenly spread;
    * ``shape``: the dimensions of an input, by its name, or the number of a symbol; several numbers are several models;
    * ``recipe``, ``preprocessing``: the name of a recipe, and single keys that differ from it;
    * ``random``: inputs that ``inputs`` does not give are random;
    * ``scenario``: the calls of the model's functions, in place of the model's own;
    * ``relax_pipeline``, ``tir_pipeline``: your pipelines, as ``FILE.py:FUNCTION``, for devices without their own;
    * ``config``: options of the pass context: ``opt_level``, ``disabled_pass``, and the keys of its ``config``;
    * ``timeout``: the shortest limit of a mutant, in seconds of processor time;
    * ``workers``: the number of processes (0: one a core);
    * ``memory``: the bytes of all of them (None: a quarter of the machine's);
    * ``iterate``: the output of an earlier campaign whose verdicts are carried over where nothing has changed;
    * ``since``: an earlier ``results.json`` or its folder: only mutants in functions that are not in it are judged;
    * ``since_git``: a revision: only mutants in functions that differ from those of the model and pipelines then;
    * ``name_undefined``: which mutants are examined for undefined behaviour: ``discrepant``, ``all`` or ``none``;
    * ``accepted``: the file of accepted survivors, which are marked in the results;
    * ``reporter``: shows the progress.

    Raises UsageError for an argument that cannot be used, UntrustedError if an unmutated build or a canary fails, and
    CampaignInterruptedError at Ctrl-C.
    """
    chosen = checked(specification or Specification())
    entries = () if accepted is None else read_accepted(Path(accepted))
    reporter = reporter or Reporter()
    parsed = parse_devices([each for each in devices if isinstance(each, str)])
    parsed = (*parsed, *(each for each in devices if isinstance(each, Device)))
    check_reference(str(model))
    parsed = through(Flow.read(relax_pipeline, tir_pipeline, config), parsed)
    check_devices(parsed)
    with held_folder("inputs") as folder:
        earlier = find_since(since, since_git, str(model), parsed, Path(folder))
        subjects = prepare_subjects(
            str(model),
            inputs or (None if random else default_inputs(str(model))),
            Path(folder),
            labels=labels,
            limit=limit,
            shape=shape,
            recipe=recipe,
            preprocessing=preprocessing,
            scenario=scenario,
            random=random,
        )
        for subject in subjects:
            if RANDOM in subject.inputs_source:
                reporter.note(f"{subject.name}: the inputs are {subject.inputs_source}; give your own with --inputs")
            if subject.simplified:
                reporter.note(f"{subject.name}: was {subject.simplified}")
        results = Campaign(
            subjects,
            parsed,
            chosen,
            Path(output),
            workers=workers,
            least_seconds=timeout,
            reporter=reporter,
            memory=memory,
            iterate=None if iterate is None else Path(iterate),
            since=earlier,
            name_undefined=name_undefined,
        ).run()
    results, over = with_accepted(results, entries)
    for entry in over:
        reporter.note(f"accepted mutant {entry.id} of {entry.model} is killed now, or its function has changed")
    write_json(results, output)
    return results


def read_results(path: str | Path) -> Results:
    """The results in a ``results.json``, or in the folder that holds one.

    Raises UsageError for a file that is missing, broken, or of another version of the schema.
    """
    return read_json(path)


def checked(specification: Specification) -> Specification:
    """The specification with canonical ids, each once; raises UsageError for anything in it that cannot be used."""
    catalogue = load_catalogue()
    if not specification.operators:
        raise UsageError(
            "--operators names no operator; write globs separated by commas, such as 'graph.*,tir.*', or default"
        )
    chosen = catalogue.select(specification.operators)
    known = [str(slot) for slot in Slot]
    for slot in specification.slots:
        if slot not in known:
            raise UsageError(f"--slots {slot!r} is not a slot; there are {', '.join(known)}")
    specification.check()
    slots = {*map(Slot, specification.slots)}
    if slots and not specification.mutants and slots.isdisjoint(slot for each in chosen for slot in each.slots):
        names = ", ".join(name for name, each in catalogue.items() if not slots.isdisjoint(each.slots))
        raise UsageError(f"--slots {','.join(specification.slots)}: no chosen operator acts there; choose of {names}")
    mutants = tuple(dict.fromkeys(str(catalogue.parse(text)) for text in specification.mutants))
    return replace(specification, mutants=mutants)


def check_devices(devices: Iterable[Device]) -> None:
    """Raises UsageError if a device cannot run code, or a remote one does not answer."""
    for device in devices:
        tools = device.toolchain
        if (device.is_remote or device.compiler) and not tools.is_there:
            raise UsageError(f"device {device.name}: {missing_compiler('its code', tools)}")
        if not device.is_remote:
            device.runtime()
        elif obstacle := why_no_session(device, min(device.patience, _PATIENCE_SECONDS)):
            raise UsageError(obstacle)


def _stages(model: Model | tvm.IRModule, target: str, flow: Flow) -> Stages:
    return Stages(model.module if isinstance(model, Model) else model, parse_target(target), flow)


def _only_slot(mutant: str) -> tuple[Slot, list[Selection]]:
    catalogue = load_catalogue()
    parsed = catalogue.parse(mutant)
    by_slot = selections_by_slot(parsed.mutations, catalogue)
    if len(by_slot) > 1:
        raise UsageError(f"mutant {parsed} acts in the slots {', '.join(by_slot)}; apply its mutations one by one")
    ((slot, selections),) = by_slot.items()
    if slot not in _ON_MODULES:
        what = "generated code" if slot is Slot.TEXT else "TVM's lists of passes"
        raise UsageError(f"mutant {parsed} changes {what}, not a module; use tvm_mutate.activate around a build")
    return slot, selections


def _why_not_applied(mutation: Mutation, report: Sequence[Applied], names: Sequence[str] = ()) -> str | None:
    """Why a mutation changed no function, as a sentence; None if it changed one."""
    own = [each for each in report if each.mutation == mutation]
    if any(each.changed for each in own):
        return None
    if any(each.sites for each in own):
        return f"mutant {mutation}: the replacement at its sites is the same as the original"
    names = names or sorted(each.function for each in own)
    return mutation.why_not_there(names, {each.function: each.found for each in own if each.found})


def _warning(selections: Sequence[Selection], on_applied: OnApplied | None) -> OnApplied:
    def record(report: Sequence[Applied]) -> None:
        if on_applied is not None:
            on_applied(report)
        _warn([selection.mutation for selection in selections], report)

    return record


def _warn(mutations: Iterable[Mutation], report: Sequence[Applied]) -> None:
    for mutation in mutations:
        if reason := _why_not_applied(mutation, report):
            warnings.warn(f"the module is not mutated: {reason}", NotAppliedWarning, stacklevel=3)
