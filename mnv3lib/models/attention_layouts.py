"""What timm calls the modules of EfficientViT and MobileViT (chapter on EfficientViT).

EfficientViT's official checkpoints have names of their own; timm publishes the same weights under
the names here (``efficientvit_m0.r224_in1k`` and so on).
"""

from collections.abc import Iterable, Iterator

from torch import nn

from mnv3lib.models.attention_rows import (
    InteractionRow,
    NormDenseRow,
    PatchAttentionRow,
    SandwichRow,
)
from mnv3lib.models.builder import Network
from mnv3lib.models.key_pairs import Pairs, unit
from mnv3lib.models.rows import BneckRow, ConvRow, DenseRow

__all__ = ["timm_efficientvit", "timm_mobilevit"]


def _units(names: Iterable[tuple[str, str]]) -> Pairs:
    """Convolutions with norm whose two parts are called ``conv`` and ``bn`` there."""
    for ours, theirs in names:
        yield from unit(ours, f"{theirs}.conv", f"{theirs}.bn")


def timm_efficientvit(network: Network) -> Pairs:
    """EfficientViT: ``patch_embed``, ``stages.<stage>.downsample``, ``.blocks.<block>``, ``head``.

    Args:
        network: One of :mod:`mnv3lib.models.efficientvit`.
    """
    stage = block = convs = interactions = 0
    for index, row in enumerate(network.spec.rows):
        ours = f"rows.{index}"
        if isinstance(row, ConvRow):
            convs += 1
            yield from _units([(ours, f"patch_embed.conv{convs}")])
        elif isinstance(row, InteractionRow):
            half = interactions % 2  # before, and after the inverted residual
            stage, block = (stage + 1 - half, 0)
            interactions += 1
            theirs = f"stages.{stage}.downsample.res{half + 1}"
            yield from _interaction(ours, (f"{theirs}.0.m", f"{theirs}.1.m"))
        elif isinstance(row, BneckRow):
            yield from _merging(ours, f"stages.{stage}.downsample.patchmerge")
        elif isinstance(row, SandwichRow):
            yield from _sandwich(ours, row.heads, f"stages.{stage}.blocks.{block}")
            block += 1
        elif isinstance(row, NormDenseRow):
            yield f"{ours}.norm", "head.bn"
            yield f"{ours}.linear", "head.linear"


def _interaction(ours: str, theirs: tuple[str, str]) -> Pairs:
    """Token interaction and feed-forward layer, whose paths there are given one by one."""
    depthwise, mixing = theirs
    names = {
        "interact.body": depthwise,
        "mix.body.expand": f"{mixing}.pw1",
        "mix.body.project": f"{mixing}.pw2",
    }
    yield from _units((f"{ours}.{a}", b) for a, b in names.items())


def _merging(ours: str, theirs: str) -> Pairs:
    parts = (("expand", "conv1"), ("depthwise", "conv2"), ("project", "conv3"))
    yield from _units((f"{ours}.{a}", f"{theirs}.{b}") for a, b in parts)
    yield f"{ours}.se.reduce", f"{theirs}.se.fc1"
    yield f"{ours}.se.expand", f"{theirs}.se.fc2"


def _sandwich(ours: str, heads: int, theirs: str) -> Pairs:
    for number, part in enumerate(("before", "after")):
        paths = (f"{theirs}.dw{number}.m", f"{theirs}.ffn{number}.m")
        yield from _interaction(f"{ours}.{part}", paths)
    attention, mixer = f"{ours}.attention.body.attention", f"{theirs}.mixer.m.attn"
    yield f"{attention}.bias", mixer  # the tensor attention_biases is the mixer's own there
    for head in range(heads):
        yield from _units(
            [
                (f"{attention}.heads.{head}.qkv", f"{mixer}.qkvs.{head}"),
                (f"{attention}.heads.{head}.query", f"{mixer}.dws.{head}"),
            ]
        )
    yield from _units([(f"{attention}.project", f"{mixer}.proj.1")])


def timm_mobilevit(network: Network) -> Pairs:
    """MobileViT: ``stem``, ``stages.<stage>.<block>``, ``final_conv``, ``head.fc``.

    Args:
        network: One of :mod:`mnv3lib.models.mobilevit`.
    """
    names = iter(_block_names(network))
    for index, (row, module) in enumerate(zip(network.spec.rows, network.rows, strict=True)):
        ours = f"rows.{index}"
        if isinstance(row, ConvRow):
            yield from _units([(ours, "stem" if index == 0 else "final_conv")])
        elif isinstance(row, BneckRow):
            theirs = next(names)
            parts = (("expand", "conv1_1x1"), ("depthwise", "conv2_kxk"), ("project", "conv3_1x1"))
            yield from _units((f"{ours}.{a}", f"{theirs}.{b}") for a, b in parts)
        elif isinstance(row, PatchAttentionRow):
            yield from _patch_attention(ours, module, next(names))
        elif isinstance(row, DenseRow):
            yield f"{ours}.linear", "head.fc"


def _block_names(network: Network) -> Iterator[str]:
    """``stages.<stage>.<block>`` of every block; a new stage begins where the width changes."""
    stage, block, width = -1, 0, 0
    for row in network.spec.rows:
        if isinstance(row, BneckRow | PatchAttentionRow):
            is_new = getattr(row, "out", width) != width or stage < 0
            stage, block = (stage + 1, 0) if is_new else (stage, block + 1)
            width = getattr(row, "out", width)
            yield f"stages.{stage}.{block}"


def _patch_attention(ours: str, module: nn.Module, theirs: str) -> Pairs:
    convs = (("local", "conv_kxk"), ("leave", "conv_proj"), ("fuse", "conv_fusion"))
    yield from _units((f"{ours}.{a}", f"{theirs}.{b}") for a, b in convs)
    yield f"{ours}.enter", f"{theirs}.conv_1x1"
    yield f"{ours}.norm", f"{theirs}.norm"
    inside = {
        "norm_attention": "norm1",
        "attention.qkv": "attn.qkv",
        "attention.project": "attn.proj",
        "norm_mix": "norm2",
        "mix.expand": "mlp.fc1",
        "mix.project": "mlp.fc2",
    }
    for layer in range(len(module.layers)):
        for a, b in inside.items():
            yield f"{ours}.layers.{layer}.{a}", f"{theirs}.transformer.{layer}.{b}"
