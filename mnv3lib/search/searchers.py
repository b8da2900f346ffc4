"""The searchers by name (chapter 8)."""

from collections.abc import Callable

from mnv3lib.search.evolution import RegularizedEvolution
from mnv3lib.search.history import Searcher
from mnv3lib.search.policy_gradient import PPO, Reinforce
from mnv3lib.search.random_search import RandomSearch

__all__ = ["SEARCHERS"]

SEARCHERS: dict[str, Callable[..., Searcher]] = {
    "random": RandomSearch,
    "evolution": RegularizedEvolution,
    "reinforce": Reinforce,
    "ppo": PPO,
}
"""Each takes a space, a seed, and options of its own."""
