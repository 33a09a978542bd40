"""Evaluation: what a mutant's build computes on the inputs."""

from tvm_mutate.evaluate.content import ContentEvaluator
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING, Evaluation, Progress, Unsuitable
from tvm_mutate.evaluate.examination import Examination, Examiner, UndefinedAccess
from tvm_mutate.evaluate.parting import MARGIN, KernelParting, KernelSession, LocalSession, find_kernel_parting
from tvm_mutate.evaluate.preparation import Preparation, Prepared, prepare
from tvm_mutate.evaluate.rebuild import RebuildEvaluator
from tvm_mutate.evaluate.session import PreparedSession, SessionEvaluator, SessionPreparation, prepare_session
from tvm_mutate.evaluate.stopping import StopRule

__all__ = [
    "COMPILING",
    "MARGIN",
    "RUNNING",
    "ContentEvaluator",
    "Evaluation",
    "Examination",
    "Examiner",
    "KernelParting",
    "KernelSession",
    "LocalSession",
    "Preparation",
    "Prepared",
    "PreparedSession",
    "Progress",
    "RebuildEvaluator",
    "SessionEvaluator",
    "SessionPreparation",
    "StopRule",
    "UndefinedAccess",
    "Unsuitable",
    "find_kernel_parting",
    "prepare",
    "prepare_session",
]
