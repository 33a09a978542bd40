"""Mutates and records builds that other programs start, where TVM looks up its pipelines."""

from tvm_mutate.activation.catching import Build, caught_builds, kernel_digest
from tvm_mutate.activation.instrument import MutantInstrument
from tvm_mutate.activation.mutating import Activation, activate
from tvm_mutate.activation.recording import BuildLog, LoggedBuilds
