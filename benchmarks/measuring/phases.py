"""The phases of a campaign, timed by its plain progress lines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_BEGIN = re.compile(r"(?P<name>[^:]+): (?P<total>\d+) to do$")
_STEP = re.compile(r"(?P<name>[^:]+): (?P<done>\d+)/(?P<total>\d+)\b")


@dataclass
class Phases:
    """When each phase of a campaign began and ended, told from its plain progress lines as they come."""

    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)

    def read(self, line: str) -> None:
        """Takes note of one line."""
        if begun := _BEGIN.match(line):
            self._began[begun["name"]] = self.clock()
            self.totals[begun["name"]] = int(begun["total"])
            self.seconds[begun["name"]] = 0.0
        elif (step := _STEP.match(line)) and step["name"] in self._began:
            self.seconds[step["name"]] = self.clock() - self._began[step["name"]]
