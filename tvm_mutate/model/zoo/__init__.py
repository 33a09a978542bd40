"""The embedded model zoo: seven small trained networks and the images that they are measured on."""

from tvm_mutate.model.zoo.catalogue import ZOO_NAMES, zoo_images, zoo_model_path, zoo_preprocessing
