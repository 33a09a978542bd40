"""The entry point that TVM calls when it is imported (group ``tvm.backends``): activates the mutant of TVM_MUTATE."""

import os

MUTANT = "TVM_MUTATE"
KERNEL, BUILD, RECORD = f"{MUTANT}_KERNEL", f"{MUTANT}_BUILD", f"{MUTANT}_RECORD"


def autoload() -> None:
    """Activates the mutant of TVM_MUTATE, or records the builds into the folder of TVM_MUTATE_RECORD.

    Without both variables nothing is imported or wrapped. If the mutant cannot be activated, the process ends with one
    sentence on stderr and exit code 1: otherwise an unmutated run would look like a mutated one.
    """
    if os.environ.get(MUTANT) or os.environ.get(RECORD):
        _install_when_possible()


def _install_when_possible() -> None:
    """Activates at once; if a module of this package is importing TVM, at the first lookup of a TVM pipeline."""
    import sys

    import tvm

    if tvm._RUNTIME_ONLY:
        return  # the run time cannot build
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

    class Waiting(UserDict[str, Any]):
        """TVM's map of pipelines by name, until the first lookup."""

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
            """Restores both maps and activates the mutant, at the first call."""
            waited = [each for each in waiting if each.module.PIPELINE_MAP is each]
            for each in waited:
                each.module.PIPELINE_MAP = each.data
            if waited:
                _install()

    waiting = [Waiting(module) for module in (of_relax, of_tir)]
