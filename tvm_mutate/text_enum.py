"""Enums whose members are text: `enum.StrEnum`, which Python 3.10 does not have."""

from __future__ import annotations

import enum


class TextEnum(str, enum.Enum):
    """An enum whose members are their own text in messages, tables and JSON."""

    def __str__(self) -> str:
        return str(self.value)
