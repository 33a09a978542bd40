"""A mutant as a pass instrument acts in builds of a flow that is not edited."""

from __future__ import annotations

import pytest
import tvm

from tests.activation.test_activating import DROPPED, RIGHT, values
from tvm_mutate import MutantInstrument, UsageError

MUTANT = "tir.drop-store@main#*"


def test_builds_in_a_pass_context_with_the_instrument_are_mutated(kernels):
    instrument = MutantInstrument(MUTANT)
    assert instrument.activation is None
    with tvm.transform.PassContext(opt_level=3, instruments=[instrument]):
        with tvm.transform.PassContext(config={"tirx.disable_assert": True}):  # a context of the flow itself
            assert (values(kernels) == DROPPED).all()
        assert (values(kernels) == DROPPED).all()
    assert (values(kernels) == RIGHT).all()
    assert (instrument.activation.builds, instrument.activation.seen) == (2, 2)


def test_the_mutant_ends_with_its_context_also_after_an_error(kernels):
    instrument = MutantInstrument(MUTANT, build=1)
    with pytest.raises(ZeroDivisionError), tvm.transform.PassContext(instruments=[instrument]):
        assert (values(kernels) == RIGHT).all()
        assert (values(kernels) == DROPPED).all()
        raise ZeroDivisionError
    assert (values(kernels) == RIGHT).all()


def test_an_unknown_mutant_is_refused_before_a_context_is_entered():
    with pytest.raises(UsageError, match="did you mean"):
        MutantInstrument("tir.drop-stores@main#*")
