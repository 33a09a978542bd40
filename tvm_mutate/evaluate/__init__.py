"""Evaluation: builds a mutant and runs it on the inputs."""

from tvm_mutate.evaluate.content import ContentEvaluator
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING, Evaluation, Progress, StopRule, Unsuitable
from tvm_mutate.evaluate.examination import Examination, Examiner, UndefinedAccess
from tvm_mutate.evaluate.preparation import Preparation, Prepared, prepare
from tvm_mutate.evaluate.rebuild import RebuildEvaluator
from tvm_mutate.evaluate.session import PreparedSession, SessionEvaluator, prepare_session
