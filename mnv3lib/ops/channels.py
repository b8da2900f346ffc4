"""Channel counts that hardware likes: rounding to a multiple of eight.

Two rules are in use: MobileNetV2's and V3's, which never loses over a tenth of the channels, and
the plain one of MobileDets.

Taught in chapter 5 (the two networks), where the width multiplier needs it.
"""

__all__ = ["make_divisible", "nearest_multiple"]


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


def nearest_multiple(value: float, divisor: int = 8) -> int:
    """Rounds a channel count to the nearest multiple of ``divisor``, halves up; at least one.

    The rule of MobileDets' code (tensorflow/models, ssd_mobiledet_feature_extractor), for its
    Tucker blocks and for width multipliers. Unlike :func:`make_divisible` it may lose more than a
    tenth: 18 becomes 16, not 24.

    Args:
        value: Wanted channels, above 0.
        divisor: The result is a multiple of this.

    Raises:
        ValueError: ``value`` is not above 0, or ``divisor`` is below 1.

    Example:
        >>> nearest_multiple(18), nearest_multiple(20), nearest_multiple(2)
        (16, 24, 8)
    """
    if not value > 0:
        raise ValueError(f"value must be above 0 channels, got {value}; check the width multiplier")
    if divisor < 1:
        raise ValueError(f"divisor must be at least 1, got {divisor}; the usual choice is 8")
    return max(divisor, int(value / divisor + 0.5) * divisor)
