"""Search: spaces, encodings, the reward of platform-aware search (chapters 8 and 9)."""

from mnv3lib.search.encoding import decode, encode, from_one_hot, one_hot, sample_codes
from mnv3lib.search.networks import network_of, spec_of
from mnv3lib.search.reward import Reward
from mnv3lib.search.space import Space
from mnv3lib.search.spaces import MNASNET, MNASNET_A1_POINT, SMALL_32, find_space, list_spaces
from mnv3lib.search.stage import Point, Stage, StageOptions

__all__ = [
    "MNASNET",
    "MNASNET_A1_POINT",
    "SMALL_32",
    "Point",
    "Reward",
    "Space",
    "Stage",
    "StageOptions",
    "decode",
    "encode",
    "find_space",
    "from_one_hot",
    "list_spaces",
    "network_of",
    "one_hot",
    "sample_codes",
    "spec_of",
]
