"""Options that several commands take, and the values that they are read into."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from tvm_mutate.api import checked
from tvm_mutate.campaign import (
    LEAST_SECONDS,
    NAMED,
    PROGRESS,
    Specification,
    check_sites,
    golden_bytes,
    make_reporter,
    parse_shard,
    parse_size,
)
from tvm_mutate.cli.console import progress_console
from tvm_mutate.device import Device, parse_devices, through
from tvm_mutate.errors import UsageError
from tvm_mutate.model import (
    DEFAULT_COUNT,
    REAL_MODELS,
    ZOO_DIGITS,
    ZOO_PROMPTS,
    RandomInputs,
    check_reference,
    default_inputs,
    scenario_of,
)
from tvm_mutate.model.zoo import DECODER, ZOO_NAMES
from tvm_mutate.mutant import OPERATOR_SETS, Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import ORACLES
from tvm_mutate.pipeline import Flow
from tvm_mutate.report import FORMATS
from tvm_mutate.results import ACCEPTED_FILE

Command = Callable[..., Any]
_OTHERS = "Options"


class Number(click.FloatRange):
    """A finite number in a range; click's own ranges accept NaN and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; fails with a usage error for other text and for a number out of the range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def operator_names(*_: Any) -> list[str]:
    """What shells complete where operators are named."""
    return [*load_catalogue(), *OPERATOR_SETS]


def one_of(names: Iterable[str]) -> Callable[..., list[str]]:
    """Lets shells complete one of these names."""
    return lambda *_: [*map(str, names)]


def _model_names(*_: Any) -> list[CompletionItem[str]]:
    names = (f"zoo://{name}" for name in (*ZOO_NAMES, DECODER)), (f"real://{name}" for name in REAL_MODELS)
    return [CompletionItem("", "file"), *map(CompletionItem, chain(*names))]


model_argument = click.argument("model", shell_complete=_model_names)
OPERATORS_HELP = "Globs of names, separated by commas; `default`, `paper` (MutateNN's) and `pipeline` are sets."
OUTPUT_HELP = "Folder for results, empty or missing at first; the same command resumes what it holds."
DEVICE_HELP = "NAME=TARGET, or NAME=rpc://TRACKER:PORT/KEY?target=TARGET; repeatable."
devices_file_option = click.option(
    "--devices",
    "device_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A TOML file with a table a device; repeatable.",
)


def with_options(group: str, *options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """A decorator that adds options, which the help lists in this order under the name of the group."""

    def decorate(command: Command) -> Command:
        earlier = len(getattr(command, "__click_params__", ()))
        for option in reversed(options):
            command = option(command)
        for parameter in command.__click_params__[earlier:]:  # type: ignore[attr-defined]
            if not hasattr(parameter, "group"):
                parameter.group = group
        return command

    return decorate


class GroupedCommand(click.Command):
    """A command whose help lists the options of each group under its name, and the others last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the groups."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for option in self.get_params(ctx):
            if isinstance(option, click.Option) and (record := option.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(option, "group", _OTHERS), []).append(record)
        for name in sorted(groups, key=lambda name: name == _OTHERS):
            with formatter.section(name):
                formatter.write_dl(groups[name])


def progress_options(command: Command) -> Command:
    """A decorator that adds the options of progress, and gives the command a ``reporter`` in place of them."""

    @click.option(
        "--progress",
        type=click.Choice([*PROGRESS]),
        help="Progress on stderr. Default: rich (live lines) on a terminal, else plain.",
    )
    @click.option("--quiet", is_flag=True, help="The same as --progress none.")
    @functools.wraps(command)
    def with_reporter(*arguments: Any, progress: str | None, quiet: bool, **options: Any) -> Any:
        reporter = make_reporter(progress or ("none" if quiet else None), progress_console())
        return command(*arguments, reporter=reporter, **options)

    return with_reporter


flow_options = with_options(
    "Pipelines",
    click.option(
        "--relax-pipeline", metavar="FILE.py:FUNCTION", help="Your Relax pipeline: the pass that the function returns."
    ),
    click.option(
        "--tir-pipeline",
        metavar="FILE.py:FUNCTION",
        help="Your TIR pipeline: a pass, or the triple of tvm.tirx.register_tir_pipeline.",
    ),
    click.option(
        "--config",
        "config",
        multiple=True,
        metavar="KEY=VALUE",
        help="An option of the pass context: opt_level, disabled_pass (names, commas), relax.*, tirx.*; repeatable.",
    ),
)
program_options = with_options(
    "Model",
    click.option(
        "--shape",
        "shapes",
        multiple=True,
        help="INPUT=1,3,224,224 where a shape is symbolic, or SYMBOL=7; SYMBOL=1,7,32 runs several sizes; repeatable.",
    ),
    click.option(
        "--scenario",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A TOML file with the calls of the model's functions. Default: one call of main.",
    ),
    click.option("--function", "functions", multiple=True, help="A function to call, in order; repeatable."),
    flow_options,
)
timeout_option = click.option(
    "--timeout",
    type=Number(min=0, min_open=True),
    default=LEAST_SECONDS,
    show_default=True,
    help="Processor time of a mutant in seconds, from one input to the next, or five times the unmutated time if that "
    "is longer.",
)
oracle_option = click.option(
    "--oracle",
    "oracles",
    shell_complete=one_of(ORACLES),
    multiple=True,
    help=f"What counts as noticed: {', '.join(ORACLES)}; with parameters: tolerance{{rtol=1e-3,atol=1e-5}}; or your "
    "own function: FILE.py:FUNCTION. Repeatable: the first gives the verdicts. Default: top-1 for classifiers, "
    "greedy-tokens for integer tokens, else tolerance.",
)
accepted_option = click.option(
    "--accepted",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Survivors that are accepted, reported apart. Default: {ACCEPTED_FILE}, if it is there.",
)
report_option = click.option(
    "--report",
    "formats",
    shell_complete=one_of(FORMATS),
    default="",
    metavar="FORMATS",
    help=f"Reports beside the tables: {', '.join(FORMATS)}.",
)
fail_under_option = click.option(
    "--fail-under",
    type=Number(0, 100),
    metavar="PERCENT",
    help="Exit with 2 if the score is below, or if there is none.",
)
site_options = with_options(
    "Mutants",
    click.option("--sites", help="all (at once), each (one mutant a site), first, or sample:N. Default: all."),
    click.option(
        "--sample",
        type=click.IntRange(min=1),
        metavar="N",
        help="N single sites a model, drawn from each operator in turn.",
    ),
    click.option(
        "--order",
        type=click.IntRange(min=1),
        default=1,
        metavar="N",
        help="With --sample: mutants of N single sites each, all in one slot. Default: 1.",
    ),
    click.option(
        "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of --sample and --random."
    ),
    click.option(
        "--shard", metavar="K/N", help="The k-th of n parts of the mutants, for n machines: 1/n to n/n are the whole."
    ),
    click.option(
        "--slots",
        shell_complete=one_of(Slot),
        default="",
        help=f"{', '.join(map(str, Slot))}, separated by commas. Default: each operator's first.",
    ),
    click.option("--all-variants", is_flag=True, help="Every parameter setting, not only the default ones."),
)
since_options = with_options(
    "Mutants",
    click.option(
        "--since",
        metavar="RESULTS",
        help="Earlier results.json or its folder: only mutants in functions that differ from those there.",
    ),
    click.option(
        "--since-git",
        metavar="REV",
        help="Revision of git: only mutants in functions that the model and pipelines then did not have.",
    ),
)
exclude_option = click.option(
    "--exclude",
    shell_complete=operator_names,
    metavar="GLOBS",
    help="Operators to leave out; the same as globs after ! in --operators.",
)
selection_options = with_options(
    "Mutants",
    click.option(
        "--operators", shell_complete=operator_names, default="default", show_default=True, help=OPERATORS_HELP
    ),
    exclude_option,
    click.option("--mutant", "mutants", multiple=True, help="A mutant id, instead of operators; repeatable."),
    site_options,
)
campaign_options = with_options(
    "Campaign",
    click.option(
        "--rebuild", is_flag=True, help="Rebuild and rerun the whole model for every mutant, not only its kernels."
    ),
    click.option("--no-fast-kernels", is_flag=True, help="Run kernels in their own schedules only, which is slower."),
    click.option("--until", type=click.Choice(["killed"]), help="Stop a mutant at the first input that is noticed."),
    click.option(
        "--precision",
        type=Number(0, 1, min_open=True, max_open=True),
        metavar="WIDTH",
        help="Stop a mutant once the 95 % interval of its dissimilarity is narrower than this (0 to 1).",
    ),
    click.option(
        "--iterate",
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Output folder of an earlier campaign: its killed and equivalent mutants are carried over if unchanged.",
    ),
    click.option(
        "--name-undefined",
        type=click.Choice(NAMED),
        default=NAMED[0],
        show_default=True,
        help="Which mutants are examined for accesses outside their buffers.",
    ),
    click.option(
        "--memory",
        metavar="SIZE",
        help="Memory for the whole campaign, such as 800M or 4G. Default: a quarter of the machine's.",
    ),
    click.option(
        "--workers", type=click.IntRange(min=0), default=0, help="Worker processes. Default: 0, which is one a core."
    ),
)
model_options = with_options(
    "Model",
    program_options,
    click.option("--recipe", help="Preprocessing by name (imagenet, cifar10, unit, none) in place of the model's."),
    click.option("--resize", type=int, help="Resize the shorter side to this many pixels first."),
    click.option("--crop", type=int, help="Crop this many pixels from the centre."),
    click.option("--scale", type=float, help="Multiply pixels (0..255) by this."),
    click.option("--mean", help="Subtract, per channel: 0.485,0.456,0.406."),
    click.option("--std", help="Divide by, per channel: 0.229,0.224,0.225."),
    click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="The model's input layout."),
    click.option("--channel-order", type=click.Choice(["RGB", "BGR"]), help="The model's channel order."),
)
input_options = with_options(
    "Inputs",
    click.option(
        "--inputs",
        metavar="PATH",
        help="A folder of images, an .npz of named arrays or images, an .npy or .wav of the only input, or "
        f"FILE.py:FUNCTION that yields dictionaries of arrays, or {ZOO_DIGITS}. Models of the zoo have their own.",
    ),
    click.option(
        "--model-input",
        "model_inputs",
        multiple=True,
        metavar="NAME=PATH",
        help="An .npy or .wav of one input; repeatable.",
    ),
    click.option(
        "--random",
        type=click.IntRange(1, 1_000_000),
        metavar="N",
        help=f"N random samples, with --seed, or the rest of the inputs. Default without inputs: {DEFAULT_COUNT}.",
    ),
    click.option(
        "--range",
        "ranges",
        multiple=True,
        metavar="NAME=LOW,HIGH",
        help="Of random values, by input or dtype; repeatable.",
    ),
    click.option("--labels", help="With --inputs: a CSV file with the columns file and class_index."),
    click.option("--limit", type=click.IntRange(min=1), help="Use this many inputs, evenly spread."),
)


def device_options(*default: str) -> Callable[[Command], Command]:
    """The options that name targets and devices."""
    targets = f"A TVM target: a kind, a tag, or JSON; repeatable. Default: {', '.join(default)}."
    return with_options(
        "Devices",
        click.option("--target", "targets", multiple=True, help=targets),
        click.option("--device", "devices", multiple=True, help=DEVICE_HELP),
        devices_file_option,
    )


def devices_of(options: dict[str, Any], *default: str) -> tuple[Device, ...]:
    """The devices that the device options name, or the default ones, with the flow that the flow options name."""
    texts, files = [*options["targets"], *options["devices"]], options["device_files"]
    return through(flow_of(options), parse_devices(texts if texts or files else default, files))


def specification_of(options: dict[str, Any]) -> Specification:
    """The specification that the options ask for, checked before a model is loaded or a file is written.

    Mutants have canonical ids, each once, so that another spelling is the same campaign. Raises UsageError.
    """
    shard = options["shard"]
    return checked(
        Specification(
            operators=operators_of(options),
            mutants=options.get("mutants", ()),
            slots=words(options["slots"]),
            sites=_sites_of(options),
            order=options["order"],
            seed=options["seed"],
            oracles=tuple(options.get("oracles", ())),
            all_variants=options["all_variants"],
            rebuild=options.get("rebuild", False),
            shard=(1, 1) if shard is None else parse_shard(shard),
            until=options.get("until") or "",
            precision=options.get("precision"),
            fast_kernels=not options.get("no_fast_kernels", False),
        )
    )


def operators_of(options: dict[str, Any]) -> tuple[str, ...]:
    """The globs of ``--operators``, and those of ``--exclude`` after ``!``."""
    return (*words(options["operators"]), *(f"!{glob}" for glob in words(options.get("exclude"))))


def _sites_of(options: dict[str, Any]) -> str:
    sites, sample = options["sites"], options["sample"]
    if sample is None:
        return check_sites(sites or Specification.sites)
    if options.get("mutants"):
        raise UsageError("--sample draws from the sites of operators; --mutant names mutants: leave one of them out")
    if sites not in (None, "each"):
        raise UsageError(f"--sample takes single sites, and --sites is {sites!r}; leave --sites out")
    return f"sample:{sample}"


def campaign_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a campaign that the campaign options give; raises UsageError."""
    workers = options["workers"]
    memory = None if options["memory"] is None else parse_size(options["memory"])
    golden_bytes(memory, workers or os.cpu_count() or 1)  # refuses too little memory before a model is loaded
    return {
        "workers": workers,
        "memory": memory,
        "iterate": options["iterate"],
        "name_undefined": options["name_undefined"],
        "reporter": options["reporter"],
    }


def accepted_file(options: dict[str, Any]) -> Path | None:
    """The file of accepted survivors, if one is named or the default one is there."""
    named: Path | None = options["accepted"]
    default = Path(ACCEPTED_FILE)
    return named or (default if default.exists() else None)


def inputs_of(model: str, options: dict[str, Any]) -> str | dict[str, str] | None:
    """The inputs that the options name, or those of the zoo for its models; None for random ones.

    Raises UsageError for options that contradict each other or do not parse.
    """
    named = dict(_named("--model-input", text, "NAME=PATH") for text in options["model_inputs"])
    if named and options["inputs"]:
        raise UsageError("--inputs and --model-input both give inputs; name all of them with --model-input")
    inputs: str | None = options["inputs"]
    if not named and not inputs and not options["random"]:
        check_reference(model)
        inputs = default_inputs(model)
    if options["labels"] is not None and inputs in (None, ZOO_DIGITS, ZOO_PROMPTS):
        raise UsageError(f"--labels needs --inputs with images of your own; {ZOO_DIGITS} has its labels")
    return named or inputs


def _random_of(options: dict[str, Any]) -> RandomInputs | None:
    ranges = {}
    for text in options["ranges"]:
        name, numbers = _named("--range", text, "NAME=LOW,HIGH")
        limits = _numbers("--range", numbers) or ()
        if len(limits) != 2:
            raise UsageError(f"--range {text!r} does not parse; write NAME=LOW,HIGH")
        ranges[name] = limits
    if not ranges and not options["random"]:
        return None
    return RandomInputs(options["random"] or DEFAULT_COUNT, options.get("seed") or 0, ranges)


def _named(option: str, text: str, form: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name or not value:
        raise UsageError(f"{option} {text!r} does not parse; write {form}")
    return name, value


def subject_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a subject that the model and input options give."""
    return {
        "labels": options["labels"],
        "limit": options["limit"],
        **program_arguments(options),
        "recipe": options["recipe"],
        "preprocessing": preprocessing_changes(options),
        "random": _random_of(options),
    }


def flow_of(options: dict[str, Any]) -> Flow:
    """The flow that the flow options name; raises UsageError."""
    config: dict[str, Any] = {}
    for text in options["config"]:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageError(f"--config {text!r} does not parse; write KEY=VALUE, such as opt_level=0")
        if key in config:
            raise UsageError(f"--config gives {key!r} twice")
        try:
            config[key] = json.loads(value)
        except ValueError:
            config[key] = words(value) if key.endswith("_pass") else value
    return Flow.read(options["relax_pipeline"], options["tir_pipeline"], config)


def program_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``load_model`` that the program options give: ``shape`` and ``scenario``."""
    return {"shape": shapes_of(options), "scenario": scenario_of(options["functions"], options["scenario"])}


def shapes_of(options: dict[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """The shapes of ``--shape``, by input; raises UsageError for a text that does not parse."""
    shapes: dict[str, tuple[int, ...]] = {}
    for text in options["shapes"]:
        name, _, dims = text.rpartition("=")
        if name in shapes:
            raise UsageError(f"--shape gives {name!r} twice")
        try:
            shapes[name] = tuple(int(dim) for dim in dims.split(","))
        except ValueError:
            shapes[name] = ()
        if not name or not shapes[name] or min(shapes[name]) < 1:
            raise UsageError(f"--shape {text!r} does not parse; write INPUT=1,3,224,224 in numbers of 1 or more")
    return shapes or None


def preprocessing_changes(options: dict[str, Any]) -> dict[str, Any]:
    """The keys of the preprocessing that options change."""
    changes = {key: options[key] for key in ("resize", "crop", "scale", "layout", "channel_order")}
    for key in ("mean", "std"):
        changes[key] = _numbers(f"--{key}", options[key])
    return {key: value for key, value in changes.items() if value is not None}


def words(text: str | None) -> tuple[str, ...]:
    """The words of a text with commas between them."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r} does not parse; write numbers separated by commas") from None
