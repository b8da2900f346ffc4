"""Channel counts that hardware likes: rounding to a multiple of eight.

Taught in chapter 5 (the two networks), where the width multiplier needs it.
"""

__all__ = ["make_divisible"]


def make_divisible(value: float, divisor: int = 8, min_value: int | None = None) -> int:
    """Rounds a channel count to the nearest multiple of ``divisor``, never down by over 10 %.

    Source: TensorFlow's slim reference code of MobileNetV2 and MobileNetV3; the papers
    only say that channels are multiples of eight.

    Args:
        value: Wanted channels, above 0, for instance ``0.35 * 96``.
        divisor: The result is a multiple of this.
        min_value: Smallest result; ``divisor`` when not given.

    Returns:
        The rounded channel count.

    Raises:
        ValueError: ``value`` is not above 0, or ``divisor`` is below 1.

    Example:
        >>> make_divisible(36), make_divisible(18)  # 16 would be less than 90 % of 18
        (40, 24)
    """
    if not value > 0:
        raise ValueError(f"value must be above 0 channels, got {value}; check the width multiplier")
    if divisor < 1:
        raise ValueError(f"divisor must be at least 1, got {divisor}; the usual choice is 8")
    rounded = max(min_value or divisor, int(value + divisor / 2) // divisor * divisor)
    if rounded < 0.9 * value:
        rounded += divisor
    return rounded
