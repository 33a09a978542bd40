"""A mutant as a pass instrument, for flows that nobody can edit."""

from __future__ import annotations

import contextlib
from typing import Any

from tvm.ir.instrument import PassInstrument

from tvm_mutate.activation.mutating import Activation, activate
from tvm_mutate.mutant import Mutant
from tvm_mutate.operators import load_catalogue


class MutantInstrument(PassInstrument):
    """Mutates the builds that a process makes while a pass context with this instrument lasts.

    Instruments of TVM see passes and cannot change modules, so the instrument activates the mutant as :func:`activate`
    does, with the same options, when the context is entered. ``activation`` is the effect in the last context that was
    entered; None before. Raises UsageError for an unknown mutant.
    """

    __slots__ = ("__dict__",)  # objects of TVM take no attributes without it

    def __init__(self, mutant: Mutant | str, **options: Any) -> None:
        self._mutant, self._options = load_catalogue().parse(str(mutant)), options
        self._entered: list[contextlib.ExitStack] = []
        self.activation: Activation | None = None
        super().__init__()

    def enter_pass_ctx(self) -> None:
        """Activates the mutant; TVM calls this method when the context is entered."""
        stack = contextlib.ExitStack()
        self.activation = stack.enter_context(activate(self._mutant, **self._options))
        self._entered.append(stack)

    def exit_pass_ctx(self) -> None:
        """Ends the activation; TVM calls this method when the context is left."""
        self._entered.pop().close()
