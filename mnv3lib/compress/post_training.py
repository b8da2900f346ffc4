"""Post-training quantisation: a trained network and some images make an int8 network (chapter 12).

Four steps, those of PyTorch's PT2E path: record the network as a graph of operators; let
observers into it (:mod:`mnv3lib.compress.quantiser` says where); show them images, from which they
learn the range of each activation; replace each of them by a pair of operators that quantise and
dequantise. The result computes in PyTorch, with the values that int8 kernels have to within the
rounding of their last bit but not with their speed, and is what the exports start from.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from mnv3lib.measure.silence import hushed
from mnv3lib.models import deploy

__all__ = ["checked_batches", "convert", "quantise_network", "record"]


def quantise_network(
    network: nn.Module, batches: Iterable[Tensor], *, calibration: str = "min_max"
) -> GraphModule:
    """Makes an int8 network of a float one.

    Args:
        network: From images to one tensor; batch norm in :class:`mnv3lib.ops.ConvNormAct` is
            folded first. It is left alone.
        batches: Images to calibrate with, (N, 3, H, W) each, prepared as for the network. A
            hundred or so training images are enough; all must have the same size.
        calibration: How a range is chosen from the values seen, a name in
            :data:`mnv3lib.compress.observers.CALIBRATIONS`.

    Returns:
        A graph for images of that size, any number at a time. It takes no gradient.

    Raises:
        ValueError: No such calibration, no batch, batches that differ in shape or are no images
            for the network, a network that cannot be recorded, or one without any operator that
            XNNPACK computes in int8.

    Example:
        >>> int8 = quantise_network(network, [images])  # doctest: +SKIP
    """
    from mnv3lib.compress.observers import find_calibration
    from mnv3lib.compress.quantiser import Quantiser, after_training

    config = after_training(find_calibration(calibration))
    first, all_batches = checked_batches(batches)
    with hushed():
        from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

        prepared = prepare_pt2e(record(network, first), Quantiser(config))
    with torch.no_grad():
        for batch in all_batches:
            prepared(batch)
    return convert(prepared)


def checked_batches(batches: Iterable[Tensor]) -> tuple[Tensor, Iterator[Tensor]]:
    """The first batch, and all of them, each of which is checked when its turn comes.

    Raises:
        ValueError: There is none, or (from the iterator) one is no batch of images, or of images
            of another size than the first.
    """
    iterator = iter(batches)
    first = next(iterator, None)
    if first is None:
        raise ValueError(
            "no images to calibrate with: an int8 network needs the ranges of its activations; "
            "give at least one batch of training images"
        )

    def check(batch: Tensor) -> Tensor:
        if batch.ndim != 4 or len(batch) == 0 or batch.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"calibration needs batches of images of one size, (N, 3, H, W), N at least 1; "
                f"the first was {tuple(first.shape)}, this one is {tuple(batch.shape)}"
            )
        return batch

    return check(first), map(check, chain([first], iterator))


def record(network: nn.Module, example: Tensor) -> GraphModule:
    """Records what a network computes in evaluation, as a graph of PyTorch's own operators.

    Args:
        network: From images to one tensor; it is left alone.
        example: Images, (N, 3, H, W). Their size is fixed in the graph, their number is not.

    Returns:
        The graph, with batch norm folded into convolutions and without dropout.

    Raises:
        ValueError: The network does not take such images, or cannot be recorded.
    """
    copy = deploy(network).to(memory_format=torch.contiguous_format)
    images = torch.cat([example, example])[: max(2, len(example))]  # one image would fix the number
    with torch.no_grad():
        try:
            copy(images)
        except RuntimeError as error:
            raise ValueError(
                f"the network does not take images of shape {tuple(example.shape)}: {error}"
            ) from error
    try:
        shapes = ({0: torch.export.Dim.DYNAMIC},)
        with hushed():
            graph = torch.export.export(copy, (images,), dynamic_shapes=shapes)
    except Exception as error:
        raise ValueError(
            f"torch.export cannot record this {type(network).__name__}, so it cannot be "
            f"quantised; control flow that depends on values is the usual reason ({error})"
        ) from error
    return _without_dropout(graph.module(check_guards=False))


def convert(prepared: GraphModule) -> GraphModule:
    """Replaces observers, or fake quantisation, by operators that quantise and dequantise.

    Args:
        prepared: A graph that has seen its images; it is used up.

    Returns:
        The int8 network. ``train()`` and ``eval()`` change nothing in it.

    Raises:
        ValueError: Nothing in the graph was to be quantised.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

    if not any(name.startswith("activation_post_process") for name, _ in prepared.named_children()):
        raise ValueError(
            "nothing in this network can be quantised: it has no convolution, linear layer, "
            "addition or product"
        )
    with hushed():
        graph = convert_pt2e(prepared)
    del graph.train, graph.eval  # torchao's raise an error; a module's own do no harm
    return graph.requires_grad_(False).eval()


def _without_dropout(graph: GraphModule) -> GraphModule:
    """Takes out dropout, which does nothing in evaluation but would be quantised around."""
    for node in graph.graph.nodes:
        if node.op == "call_function" and node.target is torch.ops.aten.dropout.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
    graph.recompile()
    return graph
