"""Networks under a detector: which maps it looks at, and weights from a classifier (chapter 10)."""

import torch
from torch import nn

from mnv3lib.models import Network, NetworkSpec, WeightsError
from mnv3lib.models.rows import BneckRow, with_input
from mnv3lib.models.taps import Tap

__all__ = ["detection_taps", "load_backbone", "tap_channels"]


def detection_taps(spec: NetworkSpec) -> tuple[Tap, Tap]:
    """The two maps of a network that a detector looks at, C4 and C5.

    With :attr:`mnv3lib.models.NetworkSpec.detector_maps` at ``"expansion"``, C4 is what the last
    strided block *expands* to: its channels are many and its pixels are those of stride 16, since
    the stride comes after. Where that block does not expand, as in MobileNetV1, or with
    ``"output"``, as in MobileDets, C4 is its input. C5 is the last map before pooling.

    Source: arXiv 1905.02244, section 6.3, and the authors' object detection code.

    Raises:
        ValueError: A network with fewer than two strides, or one whose last stride has become
            dilation.
    """
    if spec.output_stride != 32:
        raise ValueError(
            f"a detector needs maps of two strides, and output_stride={spec.output_stride} takes "
            "the last one away; leave it at 32"
        )
    maps = spec.map_rows
    strided = [index for index, row in enumerate(maps) if getattr(row, "stride", 1) > 1]
    if len(strided) < 2:
        raise ValueError(f"a detector needs a network with two strides, got {len(strided)}")
    row = strided[-1]
    block = maps[row]
    expands = isinstance(block, BneckRow) and (
        spec.always_expand or block.exp != _channels_before(spec, row)
    )
    inside = expands and spec.detector_maps == "expansion"
    return Tap(row, "expand") if inside else Tap(row - 1), Tap(len(maps) - 1)


def _channels_before(spec: NetworkSpec, index: int) -> int:
    """Channels that enter a row."""
    return [c_in for _, c_in in with_input(spec.rows)][index]


def tap_channels(spec: NetworkSpec, tap: Tap) -> int:
    """Channels of a tapped map.

    Raises:
        ValueError: A part inside a row that has no ``exp`` in its table.
    """
    row = spec.rows[tap.row]
    if tap.part in (None, "project"):
        return getattr(row, "out", _channels_before(spec, tap.row))
    if not isinstance(row, BneckRow):
        raise ValueError(
            f"the channels inside a {type(row).__name__} (row {tap.row}) are not in its table; "
            "tap its output"
        )
    return row.exp


@torch.no_grad()
def load_backbone(model: nn.Module, network: Network) -> None:
    """Copies a classifier's weights to the network under a head.

    Args:
        model: With ``rows`` named as in the classifier, such as an
            :class:`mnv3lib.heads.ssdlite.SSDLite`.
        network: The classifier; its pooling and last layers are not used.

    Raises:
        WeightsError: The rows differ, as those of a full and of a halved tail do; nothing is
            copied then.

    Example:
        >>> from mnv3lib import create_model
        >>> from mnv3lib.heads.ssdlite import create_ssdlite
        >>> detector = create_ssdlite("mobilenet_v3_small", num_classes=3)
        >>> load_backbone(detector, create_model("mobilenet_v3_small"))
    """
    ours, given = model.rows.state_dict(), network.rows.state_dict()
    misfits = [
        f"rows.{key} {tuple(value.shape)}"
        for key, value in ours.items()
        if key not in given or given[key].shape != value.shape
    ]
    if misfits:
        raise WeightsError(
            f"{len(misfits)} tensors of the classifier do not fit, the first at {misfits[0]}; "
            "give both networks the same name, width_mult and tail"
        )
    model.rows.load_state_dict({key: given[key] for key in ours})
