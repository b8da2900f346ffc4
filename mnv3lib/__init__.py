"""The parts of MobileNetV3 and its relatives as clean, typed, tested code.

>>> import mnv3lib
>>> network = mnv3lib.create_model("mobilenet_v3_small")
>>> mnv3lib.count(network).macs
56510400

The names below are imported when they are first used: neither ``import mnv3lib`` nor
``mnv3 --help`` waits for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnv3lib.measure import compare_latency, count
    from mnv3lib.measure.latency import latency
    from mnv3lib.models import create_model, deploy, export_weights, list_models, load_weights

__all__ = [
    "compare_latency",
    "count",
    "create_model",
    "deploy",
    "export_weights",
    "latency",
    "list_models",
    "load_weights",
]

_HOMES = {
    "compare_latency": "mnv3lib.measure",
    "count": "mnv3lib.measure",
    "latency": "mnv3lib.measure.latency",
}


def __getattr__(name: str) -> Any:
    """Imports a public name from the room that defines it."""
    if name not in __all__:
        raise AttributeError(f"module 'mnv3lib' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "mnv3lib.models")), name)


def __dir__() -> list[str]:
    """Public names, imported yet or not."""
    return sorted({*globals(), *__all__})
