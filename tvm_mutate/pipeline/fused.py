"""A model after legalisation and fusion."""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm import relax

from tvm_mutate.pipeline.folding import FoldingCache
from tvm_mutate.pipeline.legalising import LegalisingCache


class Fused:
    """A model after legalisation and fusion, which targets share; computed when first asked for.

    ``folding`` and ``legalising`` keep the kernels of constant folding and of legalisation for the next model, and for
    the model's graph mutants.
    """

    def __init__(
        self, module: tvm.IRModule, folding: FoldingCache | None = None, legalising: LegalisingCache | None = None
    ) -> None:
        self.module = module
        self._folding = folding or FoldingCache()
        self._legalising = legalising or LegalisingCache()
        self._fused: tvm.IRModule | None = None

    def fused(self) -> tvm.IRModule:
        """The unmutated model, legalised and fused."""
        if self._fused is None:
            self._fused = self.fuse(self.module)
        return self._fused

    def fuse(self, module: tvm.IRModule) -> tvm.IRModule:
        """Another module, such as the model with graph mutations, legalised and fused as by ``fusing_pipeline``."""
        with self._folding.active():
            decomposed = relax.transform.DecomposeOpsForInference()(module)
            return relax.get_pipeline("zero")(self._legalising.legalisation(decomposed)(decomposed))

    def fuse_by(self, passes: Sequence[tvm.transform.Pass], module: tvm.IRModule) -> tvm.IRModule:
        """Another module after passes that take the place of ``fusing_pipeline``.

        Of the two caches only that of folded constants is of use: it has what TVM's unmutated TIR pipeline makes of a
        kernel, whoever asks for it.
        """
        with self._folding.active():
            return tvm.transform.Sequential(list(passes))(module)
