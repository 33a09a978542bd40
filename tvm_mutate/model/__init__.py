"""Models and their inputs: loaded from files, Python or the zoos, before anything is compiled."""

from tvm_mutate.model.images import preprocess
from tvm_mutate.model.inputs import ZOO_DIGITS, ZOO_PROMPTS, Inputs, default_inputs, load_inputs
from tvm_mutate.model.model import Model, check_reference, load_model, model_from_module
from tvm_mutate.model.preprocessing import RECIPES, Preprocessing, parse_preprocessing
from tvm_mutate.model.random_inputs import DEFAULT_COUNT, RANDOM, RandomInputs
from tvm_mutate.model.real_models import REAL_MODELS, real_model_path
from tvm_mutate.model.scenario import Parameter, ResolvedScenario, Workload
from tvm_mutate.model.scenario_file import read_scenario, scenario_of
from tvm_mutate.model.symbols import bindings
