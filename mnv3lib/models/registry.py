"""Networks by name: ``create_model``, ``list_models``, and the options that they take."""

from dataclasses import replace
from fnmatch import fnmatchcase

import torch

from mnv3lib.models import (
    efficientnet,
    efficientvit,
    mnasnet,
    mobiledet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    mobilevit,
    skipblocknet,
    tinynet,
)
from mnv3lib.models.builder import Network
from mnv3lib.models.edits import (
    remove_strides,
    with_swish,
    without_skip_blocks,
    without_squeeze_excite,
)
from mnv3lib.models.rows import NetworkSpec, Row
from mnv3lib.models.scaling import scale_rows
from mnv3lib.names import nearest_names
from mnv3lib.ops import ResidualBlock, add_drop_path

__all__ = ["create_model", "list_models", "model_spec"]

_SPECS: dict[str, NetworkSpec] = {
    **mobilenet_v1.MODELS,
    **mobilenet_v2.MODELS,
    **mnasnet.MODELS,
    **efficientnet.MODELS,
    **efficientvit.MODELS,
    **mobilenet_v3.MODELS,
    **skipblocknet.MODELS,
    **mobiledet.MODELS,
    **mobilevit.MODELS,
    **tinynet.MODELS,
}
_CONVENTIONS = ("padding", "output_stride", "dropout", "bn_eps", "bn_momentum", "resolution")
_EDITS = ("removed_strides", "squeeze_excite", "hard_swish", "skip_blocks")
_FAMILY_OPTIONS = {"mobilenet_v3": ("width_rule", "tail", "head_channels", "hard_swish_from")}


def list_models(pattern: str = "*") -> list[str]:
    """Names of the networks that match a shell pattern, sorted.

    Example:
        >>> list_models("mobilenet_v3_*minimalistic")
        ['mobilenet_v3_large_minimalistic', 'mobilenet_v3_small_minimalistic']
    """
    return sorted(name for name in _SPECS if fnmatchcase(name, pattern))


def model_spec(
    name: str | NetworkSpec,
    *,
    width_mult: float = 1.0,
    num_classes: int = 1000,
    **options: object,
) -> NetworkSpec:
    """The table of a network, without building it; arguments as in :func:`create_model`."""
    spec = name if isinstance(name, NetworkSpec) else _find_spec(name)
    _check_options(name if spec is not name else spec.family, spec, options)
    conventions = {key: value for key, value in options.items() if key in _CONVENTIONS}
    rows = mobilenet_v3.reduce_tail(_edited(spec.rows, options), options.get("tail", "full"))
    rows = scale_rows(rows, width_mult, options.get("width_rule", spec.width_rule))
    if options.get("head_channels") is not None:
        rows = (*rows[:-2], replace(rows[-2], out=options["head_channels"]), rows[-1])
    return replace(spec, rows=rows, **conventions).with_classes(num_classes)


def _find_spec(name: str) -> NetworkSpec:
    if name not in _SPECS:
        raise ValueError(f"unknown model {name!r}; did you mean {nearest_names(name, _SPECS)}?")
    return _SPECS[name]


def _edited(rows: tuple[Row, ...], options: dict[str, object]) -> tuple[Row, ...]:
    """The table after the edits that are asked for."""
    if "hard_swish_from" in options:
        border = options["hard_swish_from"]
        rows = mobilenet_v3.place_hard_swish(rows, None if border == "nowhere" else border)
    if not options.get("squeeze_excite", True):
        rows = without_squeeze_excite(rows)
    if not options.get("hard_swish", True):
        rows = with_swish(rows)
    if not options.get("skip_blocks", True):
        rows = without_skip_blocks(rows)
    return remove_strides(rows, options.get("removed_strides", 0))


def _check_options(name: str, spec: NetworkSpec, options: dict[str, object]) -> None:
    allowed = (*_CONVENTIONS, *_EDITS, *_FAMILY_OPTIONS.get(spec.family, ()))
    unknown = sorted(set(options) - set(allowed))
    if unknown:
        raise ValueError(
            f"{name} takes no option {', '.join(unknown)}; "
            f"it takes width_mult, num_classes, drop_path, generator, {', '.join(allowed)}"
        )


def create_model(
    name: str | NetworkSpec,
    *,
    width_mult: float = 1.0,
    num_classes: int = 1000,
    drop_path: float = 0.0,
    generator: torch.Generator | None = None,
    **options: object,
) -> Network:
    """Builds a network, with fresh weights.

    Args:
        name: One of :func:`list_models`, or a table of your own.
        width_mult: Width multiplier, above 0.
        num_classes: Classes of the last layer.
        drop_path: Stochastic depth while training, see :func:`mnv3lib.ops.add_drop_path`.
        generator: Source of the initial weights; PyTorch's global one when not given.
        **options: For every network: ``padding`` (``"symmetric"`` or ``"same"``),
            ``output_stride`` (32, 16 or 8), ``dropout``, ``bn_eps``, ``bn_momentum``,
            ``removed_strides`` (see :func:`mnv3lib.models.edits.remove_strides`),
            ``squeeze_excite`` (False leaves it out), ``hard_swish`` (False puts swish in its
            place), ``skip_blocks`` (False leaves out those of SkipblockNet),
            ``resolution`` (side in pixels of the images that it is made for: what is
            counted and timed if nothing else is said, and all that a network takes which is built
            for one size).
            For MobileNetV3 also ``width_rule`` (``"paper"`` or ``"torchvision"``, see
            :func:`mnv3lib.models.scaling.scale_rows`), ``tail`` (``"full"``, ``"dagger"`` or
            ``"rf2"``, see :func:`mnv3lib.models.mobilenet_v3.reduce_tail`),
            ``head_channels`` (features between pooling and classifier) and
            ``hard_swish_from`` (N of Table 5's '@N', or ``"nowhere"``, see
            :func:`mnv3lib.models.mobilenet_v3.place_hard_swish`).

    Returns:
        A network from (N, 3, H, W) to logits (N, num_classes), in training mode.

    Raises:
        ValueError: Unknown name (the nearest ones are named) or option, or a value out of range.

    Example:
        >>> network = create_model("mobilenet_v3_small", width_mult=0.5, num_classes=10)
        >>> sum(p.numel() for p in network.parameters())
        577954
    """
    spec = model_spec(name, width_mult=width_mult, num_classes=num_classes, **options)
    network = Network(spec, generator=generator)
    if drop_path:
        blocks = [row for row in network.rows if isinstance(row, ResidualBlock)]
        if not any(block.use_residual for block in blocks):
            raise ValueError(f"drop_path={drop_path}: {spec.family} has no residual block to drop")
        add_drop_path(blocks, drop_path)
    return network
