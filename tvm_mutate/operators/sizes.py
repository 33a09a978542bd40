"""The sizes that faults can have, as several families of operators have them. No family of operators."""

from __future__ import annotations

from tvm_mutate.mutant import Magnitude

# Of indices, extents and starts.
STEPS = Magnitude(1, 1024)
# Of what is added to values, and of factors.
AMOUNTS = Magnitude(1e-6, 1e6, logarithmic=True)
FACTORS = Magnitude(1e-6, 1e6, logarithmic=True, factor=True)
