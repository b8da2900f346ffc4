"""How large the image is that a measurement takes: a square by its side, or height and width."""

__all__ = ["Resolution", "check_resolution", "image_size", "own_resolution", "size_text"]

_USUAL = 224

Resolution = int | tuple[int, int]
"""Side of a square image, or height and width, in pixels."""


def check_resolution(resolution: int, smallest: int = 32) -> None:
    """Raises a ValueError unless resolution is a whole number of at least `smallest` pixels."""
    if isinstance(resolution, bool) or not isinstance(resolution, int):
        raise ValueError(f"resolution must be a whole number of pixels, got {resolution!r}")
    if resolution < smallest:
        raise ValueError(
            f"resolution must be at least {smallest} pixels, got {resolution}; "
            "the last map would be smaller than a pixel"
        )


def image_size(resolution: Resolution, smallest: int = 32) -> tuple[int, int]:
    """Height and width in pixels.

    Raises:
        ValueError: Something else than one or two whole numbers of at least `smallest`.

    Example:
        >>> image_size(224), image_size((512, 1024))
        ((224, 224), (512, 1024))
    """
    if isinstance(resolution, tuple | list) and len(resolution) != 2:
        raise ValueError(f"an image has a height and a width, got {len(resolution)}: {resolution}")
    height, width = resolution if isinstance(resolution, tuple | list) else (resolution,) * 2
    check_resolution(height, smallest)
    check_resolution(width, smallest)
    return height, width


def own_resolution(*models: object) -> int:
    """Side in pixels of the images that models are made for: 224 unless they say otherwise.

    Args:
        *models: Networks or tables, asked for an attribute ``resolution``, which
            :class:`mnv3lib.models.Network` and :class:`mnv3lib.models.NetworkSpec` have.

    Raises:
        ValueError: They are made for different sizes.

    Example:
        >>> from mnv3lib import create_model
        >>> own_resolution(create_model("mobilenet_v3_small"))
        224
    """
    found = sorted({getattr(model, "resolution", None) or _USUAL for model in models} or {_USUAL})
    if len(found) > 1:
        raise ValueError(
            f"these networks are made for images of {', '.join(map(str, found))} pixels; name the "
            "resolution at which to run them all"
        )
    return found[0]


def size_text(resolution: Resolution) -> str:
    """The size in words.

    Example:
        >>> size_text(224), size_text((512, 1024))
        ('224 px', '512 x 1024 px')
    """
    if isinstance(resolution, int):
        return f"{resolution} px"
    return "{} x {} px".format(*resolution)
