"""Every network by name, in the form that tests of all of them want: small, and for small images.

What a network cannot do is asked of its table, never of its name.
"""

from mnv3lib import create_model, list_models
from mnv3lib.models import Network, NetworkSpec, model_spec
from mnv3lib.models.scaling import is_scalable
from mnv3lib.search.row_places import has_known_rows

__all__ = ["ADAPTABLE", "EVERY", "SCALABLE", "built", "table"]

EVERY = list_models()
SCALABLE = [name for name in EVERY if is_scalable(model_spec(name).rows)]
ADAPTABLE = [name for name in EVERY if has_known_rows(model_spec(name))]


def table(name: str, side: int = 32, **options: object) -> NetworkSpec:
    """A network's table for images of a size, narrow if it can be."""
    width = {"width_mult": 0.35} if name in SCALABLE else {}
    return model_spec(name, **{**width, "resolution": side, **options})


def built(name: str, side: int = 32, **options: object) -> Network:
    """A network for images of a size, narrow if it can be."""
    width = {"width_mult": 0.35} if name in SCALABLE else {}
    return create_model(name, **{**width, "resolution": side, **options})
