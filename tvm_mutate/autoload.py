"""What TVM calls when it is imported (entry-point group ``tvm.backends``): next to nothing without a mutant."""

import os

MUTANT = "TVM_MUTATE"
KERNEL, BUILD, RECORD = f"{MUTANT}_KERNEL", f"{MUTANT}_BUILD", f"{MUTANT}_RECORD"


def autoload() -> None:
    """Activates the mutant that TVM_MUTATE names, or the recording into the folder that TVM_MUTATE_RECORD names.

    Without either nothing is imported, wrapped or looked at. A mutant that cannot be activated ends the process, with
    one sentence on stderr and exit code 1: it would be an unmutated run that looks like a mutated one.
    """
    if os.environ.get(MUTANT) or os.environ.get(RECORD):
        _install_when_possible()


def _install_when_possible() -> None:
    """Installs at once; where a module of this package is what imports TVM, at the first look at TVM's pipelines."""
    import sys

    import tvm

    if tvm._RUNTIME_ONLY:
        return  # it cannot build anything
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("tvm_mutate.")]
    if any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in modules):
        _install_later()
    else:
        _install()


def _install() -> None:
    from tvm_mutate.activation.environment import install

    install(*(os.environ.get(name, "") for name in (MUTANT, KERNEL, BUILD, RECORD)))


def _install_later() -> None:
    from collections import UserDict
    from typing import Any

    from tvm.relax import pipeline as of_relax
    from tvm.tirx import compilation_pipeline as of_tir

    class Waiting(UserDict):
        """TVM's pipelines by name, until somebody looks for one."""

        def __init__(self, module: Any) -> None:
            super().__init__()
            self.data, self.module = module.PIPELINE_MAP, module
            module.PIPELINE_MAP = self

        def __contains__(self, name: object) -> bool:
            self.end()
            return name in self.data

        def __getitem__(self, name: str) -> object:
            self.end()
            return self.data[name] if self.module.PIPELINE_MAP is self else self.module.PIPELINE_MAP[name]

        def end(self) -> None:
            """Puts both maps back, and installs, the first time."""
            waited = [each for each in waiting if each.module.PIPELINE_MAP is each]
            for each in waited:
                each.module.PIPELINE_MAP = each.data
            if waited:
                _install()

    waiting = [Waiting(module) for module in (of_relax, of_tir)]
