"""Options that several commands take, and what they are read into."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict

import click

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.memory import golden_bytes, parse_size
from tvm_mutate.campaign.runner import LEAST_SECONDS
from tvm_mutate.campaign.shard import parse_shard
from tvm_mutate.campaign.survey import check_order, check_sites
from tvm_mutate.campaign.undefined import NAMED
from tvm_mutate.device import Device, parse_devices, why_no_session
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import missing_compiler
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import ORACLES, parse_oracle

Command = Callable[..., Any]
# At first a device that does not answer is more likely misspelt than away for a moment.
_PATIENCE_SECONDS = 10.0


class Number(click.FloatRange):
    """A number in a range; unlike click's own ranges it refuses NaN and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number; a usage error for text that is none, or for one out of the range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


shape_option = click.option(
    "--shape", "shapes", multiple=True, help="INPUT=1,3,224,224 where a shape is symbolic; repeatable."
)
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
quiet_option = click.option("--quiet", is_flag=True, help="No progress on stderr.")


def selection_options(command: Command) -> Command:
    """The options that say which mutants are meant, by operator or by id."""
    return with_options(
        command,
        click.option("--operators", default="default", show_default=True, help=OPERATORS_HELP),
        click.option("--mutant", "mutants", multiple=True, help="A mutant id, instead of operators; repeatable."),
        site_options,
    )


def timeout_option(command: Command) -> Command:
    """The option that says how long an evaluation may take."""
    limit = (
        "Processor time of a mutant in seconds, from one input to the next, or five times the unmutated time where "
        "that is longer."
    )
    number = Number(min=0, min_open=True)
    return click.option("--timeout", type=number, default=LEAST_SECONDS, show_default=True, help=limit)(command)


def site_options(command: Command) -> Command:
    """The options that say which mutants of the operators are meant."""
    sites = "all (at once), each (one mutant a site), first, or sample:N, as --sample N. Default: all."
    slots = f"{', '.join(map(str, Slot))}, separated by commas. Default: each operator's first."
    sample = "N single sites a model, drawn from each operator in turn."
    order = "With --sample: mutants of N single sites each, which act in one slot. Default: 1."
    shard = "The k-th of n parts of the mutants, for n machines: 1/n to n/n are the whole."
    return with_options(
        command,
        click.option("--sites", help=sites),
        click.option("--sample", type=click.IntRange(min=1), metavar="N", help=sample),
        click.option("--order", type=click.IntRange(min=1), default=1, metavar="N", help=order),
        click.option("--seed", default=0, show_default=True, help="Seed of --sample."),
        click.option("--shard", metavar="K/N", help=shard),
        click.option("--slots", default="", help=slots),
        click.option("--all-variants", is_flag=True, help="Every parameter setting, not only the default ones."),
    )


def campaign_options(command: Command) -> Command:
    """The options that say how a campaign is run; :func:`course_of` and :func:`specification_of` read them."""
    rebuild = "Rebuild and rerun the whole model for every mutant, also where single kernels would do."
    iterate = (
        "Output folder of an earlier campaign: what was killed or equivalent there and is unchanged is carried over."
    )
    precision = "Stop a mutant once the 95 % interval of its dissimilarity is narrower than this (0 to 1)."
    named = "Of which mutants to find out whether they access memory outside their buffers."
    memory = "Memory for the whole campaign, such as 800M or 4G. Default: a quarter of the machine's."
    return with_options(
        command,
        click.option("--rebuild", is_flag=True, help=rebuild),
        click.option(
            "--no-fast-kernels", is_flag=True, help="Run kernels in their own schedules only, which is slower."
        ),
        click.option(
            "--until", type=click.Choice(["killed"]), help="Stop a mutant at the first input that is noticed."
        ),
        click.option("--precision", type=Number(0, 1, min_open=True, max_open=True), metavar="WIDTH", help=precision),
        click.option("--iterate", type=click.Path(path_type=Path), metavar="FOLDER", help=iterate),
        click.option("--name-undefined", type=click.Choice(NAMED), default=NAMED[0], show_default=True, help=named),
        click.option("--memory", metavar="SIZE", help=memory),
        click.option("--workers", type=click.IntRange(min=0), default=0, help="Worker processes. Default: one a core."),
    )


class Course(TypedDict):
    """How a campaign is run, as arguments of :class:`tvm_mutate.campaign.Campaign`."""

    workers: int
    memory: int | None
    iterate: Path | None
    name_undefined: str


def course_of(options: dict[str, Any]) -> Course:
    """How the campaign options ask for the campaign to be run; raises UsageError."""
    workers = options["workers"]
    memory = None if options["memory"] is None else parse_size(options["memory"])
    golden_bytes(memory, workers or os.cpu_count() or 1)  # refuses what is too small before a model is loaded
    return {
        "workers": workers,
        "memory": memory,
        "iterate": options["iterate"],
        "name_undefined": options["name_undefined"],
    }


def device_options(default: tuple[str, ...]) -> Callable[[Command], Command]:
    """The options that say what to compile for and run on."""

    def decorate(command: Command) -> Command:
        told = f"A TVM target: a kind, a tag, or JSON; repeatable. Default: {', '.join(default)}."
        return with_options(
            command,
            click.option("--target", "targets", multiple=True, help=told),
            click.option("--device", "devices", multiple=True, help=DEVICE_HELP),
            devices_file_option,
        )

    return decorate


def model_options(command: Command) -> Command:
    """The options that say how a model is loaded and its images are made ready."""
    return with_options(
        command,
        shape_option,
        click.option("--recipe", help="Preprocessing by name (imagenet, cifar10, unit, none) in place of the model's."),
        click.option("--resize", type=int, help="Resize the shorter side to this many pixels first."),
        click.option("--crop", type=int, help="Crop this many pixels from the centre."),
        click.option("--scale", type=float, help="Multiply pixels (0..255) by this."),
        click.option("--mean", help="Subtract, per channel: 0.485,0.456,0.406."),
        click.option("--std", help="Divide by, per channel: 0.229,0.224,0.225."),
        click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="The model's input layout."),
        click.option("--channel-order", type=click.Choice(["RGB", "BGR"]), help="The model's channel order."),
    )


def specification_of(options: dict[str, Any], oracle: str = Specification.oracle) -> Specification:
    """The specification that the selection options ask for.

    All that can be checked without a model is checked here, before anything is loaded or written; raises UsageError.
    Mutants are told by their canonical ids, each once, so that another spelling is the same campaign.
    """
    catalogue = load_catalogue()
    operators, slots = words(options["operators"]), words(options["slots"])
    if not operators:
        raise UsageError(
            "--operators names no operator; write globs separated by commas, such as 'graph.*,tir.*', or default"
        )
    catalogue.select(operators)
    for slot in slots:
        if slot not in {each.value for each in Slot}:
            raise UsageError(f"--slots {slot!r} is not a slot; there are {', '.join(each.value for each in Slot)}")
    parse_oracle(oracle)
    shard, sites, order = options["shard"], _sites_of(options), options["order"]
    check_order(order, sites)
    return Specification(
        operators=operators,
        mutants=tuple(dict.fromkeys(str(catalogue.parse(text)) for text in options.get("mutants", ()))),
        slots=slots,
        sites=sites,
        order=order,
        seed=options["seed"],
        oracle=oracle,
        all_variants=options["all_variants"],
        rebuild=options.get("rebuild", False),
        shard=(1, 1) if shard is None else parse_shard(shard),
        until=options.get("until") or "",
        precision=options.get("precision"),
        fast_kernels=not options.get("no_fast_kernels", False),
    )


def _sites_of(options: dict[str, Any]) -> str:
    sites, sample = options["sites"], options["sample"]
    if sample is None:
        return check_sites(sites or Specification.sites)
    if options.get("mutants"):
        raise UsageError("--sample draws from the sites of operators; --mutant names mutants: leave one of them out")
    if sites not in (None, "each"):
        raise UsageError(f"--sample takes single sites, and --sites is {sites!r}; leave --sites out")
    return f"sample:{sample}"


def devices_of(options: dict[str, Any], default: tuple[str, ...]) -> tuple[Device, ...]:
    """The devices that the device options name, or the default ones."""
    texts, files = [*options["targets"], *options["devices"]], options["device_files"]
    return parse_devices(texts if texts or files else default, files)


def check_devices(devices: Iterable[Device]) -> None:
    """Raises UsageError where a device does not run anything, or a remote one does not answer."""
    for device in devices:
        tools = device.toolchain
        if (device.is_remote or device.compiler) and not tools.is_there:
            raise UsageError(f"device {device.name}: {missing_compiler('its code', tools)}")
        if not device.is_remote:
            device.runtime()
        elif obstacle := why_no_session(device, min(device.patience, _PATIENCE_SECONDS)):
            raise UsageError(obstacle)


def shapes_of(options: dict[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """The shapes given by ``--shape``; raises UsageError for one that does not parse."""
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
    """What the preprocessing options change; empty when none is given."""
    changes = {key: options[key] for key in ("resize", "crop", "scale", "layout", "channel_order")}
    for key in ("mean", "std"):
        changes[key] = _numbers(f"--{key}", options[key])
    return {key: value for key, value in changes.items() if value is not None}


def oracle_option(command: Command) -> Command:
    """The option that says what counts as noticed."""
    told = f"What counts as noticed: {', '.join(ORACLES)}; with parameters: tolerance{{rtol=1e-3,atol=1e-5}}."
    return click.option("--oracle", default=Specification.oracle, show_default=True, help=told)(command)


def words(text: str | None) -> tuple[str, ...]:
    """The words of a text that separates them by commas."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def with_options(command: Command, *options: Callable[[Command], Command]) -> Command:
    """The command with options that its help lists in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r} does not parse; write numbers separated by commas") from None
