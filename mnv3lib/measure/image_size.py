"""How large the image is that a measurement takes: a square by its side, or height and width."""

__all__ = ["Resolution", "check_resolution", "image_size", "size_text"]

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


def size_text(resolution: Resolution) -> str:
    """The size in words.

    Example:
        >>> size_text(224), size_text((512, 1024))
        ('224 px', '512 x 1024 px')
    """
    if isinstance(resolution, int):
        return f"{resolution} px"
    return "{} x {} px".format(*resolution)
