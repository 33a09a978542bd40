"""What the plugin's options ask for."""

from __future__ import annotations

import re

import pytest

from tvm_mutate.errors import UsageError
from tvm_mutate.suite import Settings

_TIME = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def settings_of(config: pytest.Config, mode: str) -> Settings:
    """The settings that the options of a pytest run ask for; raises UsageError for what cannot be."""
    timeout = config.getoption("--tvm-timeout")
    if not 0 < timeout < float("inf"):
        raise UsageError(f"--tvm-timeout {timeout} is no limit; write seconds, more than 0")
    words = tuple(word.strip() for word in config.getoption("--tvm-mutants").split(",") if word.strip())
    if not words:
        raise UsageError(
            "--tvm-mutants names no operator; write globs separated by commas, such as 'tir.*', or default"
        )
    return Settings(
        mode=mode,
        operators=words,
        sites=_sites(config.getoption("--tvm-sites")),
        seed=config.getoption("--tvm-seed"),
        builds=config.getoption("--tvm-builds"),
        budget=_time(config.getoption("--tvm-budget")),
        timeout=timeout,
        mutants=tuple(dict.fromkeys(config.getoption("--tvm-mutant"))),
    )


def _sites(text: str) -> str:
    if text in ("all", "first", "each") or re.fullmatch(r"sample:[1-9]\d*", text):
        return text
    raise UsageError(f"--tvm-sites {text!r} is not known; write all, first, each or sample:N with N at least 1")


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None or not float(match[1]):
        raise UsageError(f"--tvm-budget {text!r} is no time; write seconds, minutes or hours, such as 600s, 10m or 2h")
    return float(match[1]) * _SECONDS[match[2]]
