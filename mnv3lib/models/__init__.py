"""Networks as tables, one builder, a registry, and weights in and out (chapter 5)."""

from mnv3lib.models.builder import Network
from mnv3lib.models.deploy import deploy
from mnv3lib.models.ladder import ladder
from mnv3lib.models.registry import create_model, list_models, model_spec
from mnv3lib.models.rows import NetworkSpec
from mnv3lib.models.weights import WeightsError, export_weights, load_weights

__all__ = [
    "Network",
    "NetworkSpec",
    "WeightsError",
    "create_model",
    "deploy",
    "export_weights",
    "ladder",
    "list_models",
    "load_weights",
    "model_spec",
]
