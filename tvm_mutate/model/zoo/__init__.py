"""The embedded model zoo: seven small trained image networks, a language model, and their inputs."""

from tvm_mutate.model.zoo.catalogue import (
    DECODER,
    ZOO_NAMES,
    zoo_decoder,
    zoo_images,
    zoo_model_path,
    zoo_preprocessing,
    zoo_prompts,
)
from tvm_mutate.model.zoo.decoder import GREEDY, decode_text, decoder_module, encode
