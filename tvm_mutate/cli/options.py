"""Options that several commands take, and what they are read into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tvm_mutate.campaign import Specification
from tvm_mutate.device import Device, parse_devices
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Slot
from tvm_mutate.oracle import ORACLES

Command = Callable[..., Any]


def selection_options(command: Command) -> Command:
    """The options that say which mutants are meant."""
    for option in (
        click.option("--operators", default="graph.*,tir.*", show_default=True, help="Globs, separated by commas."),
        click.option("--mutant", "mutants", multiple=True, help="A mutant id, instead of operators; repeatable."),
        click.option("--sites", default="all", show_default=True, help="all at once, each, first, or sample:N."),
        click.option("--slots", default="", help="graph, kernel, lowered, codegen; default: each operator's own."),
        click.option("--all-variants", is_flag=True, help="Every parameter setting, not only the default ones."),
        click.option("--seed", default=0, show_default=True, help="Seed of sample:N."),
    ):
        command = option(command)
    return command


def device_options(default: tuple[str, ...]) -> Callable[[Command], Command]:
    """The options that say what to compile for and run on."""

    def decorate(command: Command) -> Command:
        command = click.option(
            "--target", "targets", multiple=True, help="A TVM target: kind, tag or JSON; repeatable."
        )(command)
        return click.option(
            "--device", "devices", multiple=True, help=f"NAME=TARGET; repeatable. Default: {', '.join(default)}."
        )(command)

    return decorate


def model_options(command: Command) -> Command:
    """The options that say how a model is loaded."""
    for option in (
        click.option("--shape", "shapes", multiple=True, help="INPUT=1,3,224,224 for symbolic shapes; repeatable."),
        click.option("--recipe", help="Preprocessing by name, such as imagenet, cifar10, unit, none."),
        click.option("--resize", type=int, help="Resize the shorter side to this many pixels first."),
        click.option("--crop", type=int, help="Crop this many pixels from the centre."),
        click.option("--scale", type=float, help="Multiply pixels (0..255) by this."),
        click.option("--mean", help="Subtract, per channel: 0.485,0.456,0.406."),
        click.option("--std", help="Divide by, per channel: 0.229,0.224,0.225."),
        click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="The model's input layout."),
        click.option("--channel-order", type=click.Choice(["RGB", "BGR"]), help="The model's channel order."),
    ):
        command = option(command)
    return command


def specification_of(options: dict[str, Any], oracle: str = "top-1") -> Specification:
    """The specification that the selection options ask for; raises UsageError for an unknown slot."""
    slots = _words(options["slots"])
    for slot in slots:
        if slot not in {each.value for each in Slot}:
            raise UsageError(f"--slots {slot!r} is not a slot; there are {', '.join(each.value for each in Slot)}")
    return Specification(
        operators=_words(options["operators"]),
        mutants=tuple(options["mutants"]),
        slots=slots,
        sites=options["sites"],
        seed=options["seed"],
        oracle=oracle,
        all_variants=options["all_variants"],
    )


def devices_of(options: dict[str, Any], default: tuple[str, ...]) -> tuple[Device, ...]:
    """The devices that the device options name, or the default ones."""
    return parse_devices([*options["targets"], *options["devices"]] or list(default))


def shapes_of(options: dict[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """The shapes given by ``--shape``; raises UsageError for one that does not parse."""
    shapes = {}
    for text in options["shapes"]:
        name, _, dims = text.partition("=")
        try:
            shapes[name] = tuple(int(dim) for dim in dims.split(","))
        except ValueError:
            raise UsageError(f"--shape {text!r} does not parse; write INPUT=1,3,224,224") from None
    return shapes or None


def preprocessing_changes(options: dict[str, Any]) -> dict[str, Any]:
    """What the preprocessing options change; empty when none is given."""
    changes = {key: options[key] for key in ("resize", "crop", "scale", "layout", "channel_order")}
    for key in ("mean", "std"):
        changes[key] = _numbers(f"--{key}", options[key])
    return {key: value for key, value in changes.items() if value is not None}


def oracle_option(command: Command) -> Command:
    """The option that says what counts as noticed."""
    names = ", ".join(ORACLES)
    return click.option("--oracle", default="top-1", show_default=True, help=f"What counts as noticed: {names}.")(
        command
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r} does not parse; write numbers separated by commas") from None
