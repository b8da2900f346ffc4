"""The parts of MobileNetV3 and its relatives as clean, typed, tested code.

>>> import mnv3lib
>>> network = mnv3lib.create_model("mobilenet_v3_small")
>>> mnv3lib.count(network).macs
56510400
"""

from mnv3lib.measure import count
from mnv3lib.models import create_model, deploy, export_weights, list_models, load_weights

__all__ = [
    "count",
    "create_model",
    "deploy",
    "export_weights",
    "list_models",
    "load_weights",
]
