"""Search: spaces, rewards and searchers (chapter 8), and NetAdapt (chapter 9)."""

from mnv3lib.search.absolute_reward import AbsoluteReward
from mnv3lib.search.adaptation import Adaptation, AdaptSettings
from mnv3lib.search.benchmark import Benchmark, load_benchmark
from mnv3lib.search.cut_schedule import CutSchedule, UnreachableError
from mnv3lib.search.encoding import decode, encode, from_one_hot, one_hot, sample_codes
from mnv3lib.search.evolution import RegularizedEvolution
from mnv3lib.search.history import Evaluation, History, run_search
from mnv3lib.search.layer_space import BlockOptions, LayerSpace
from mnv3lib.search.linear_latency import LinearLatency
from mnv3lib.search.networks import network_of, spec_of
from mnv3lib.search.pareto import hypervolume, pareto_front
from mnv3lib.search.policy_gradient import PPO, Reinforce
from mnv3lib.search.random_search import RandomSearch
from mnv3lib.search.reward import Reward
from mnv3lib.search.row_costs import macs_at, table_latency_at
from mnv3lib.search.shrinking import width_grid, width_groups
from mnv3lib.search.simulated_device import DEVICES, SimulatedDevice, device_latency
from mnv3lib.search.space import Space
from mnv3lib.search.spaces import MNASNET, MNASNET_A1_POINT, SMALL_32, find_space, list_spaces
from mnv3lib.search.stage import Point, Stage, StageOptions
from mnv3lib.search.surrogate import Surrogate
from mnv3lib.search.table_latency import table_latency
from mnv3lib.search.tdb_space import find_layer_space, full_space, small_space
from mnv3lib.search.tunas import TuNAS

__all__ = [
    "DEVICES",
    "MNASNET",
    "MNASNET_A1_POINT",
    "PPO",
    "SMALL_32",
    "AbsoluteReward",
    "AdaptSettings",
    "Adaptation",
    "Benchmark",
    "BlockOptions",
    "CutSchedule",
    "Evaluation",
    "History",
    "LayerSpace",
    "LinearLatency",
    "Point",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "Reward",
    "SimulatedDevice",
    "Space",
    "Stage",
    "StageOptions",
    "Surrogate",
    "TuNAS",
    "UnreachableError",
    "decode",
    "device_latency",
    "encode",
    "find_layer_space",
    "find_space",
    "from_one_hot",
    "full_space",
    "hypervolume",
    "list_spaces",
    "load_benchmark",
    "macs_at",
    "network_of",
    "one_hot",
    "pareto_front",
    "run_search",
    "sample_codes",
    "small_space",
    "spec_of",
    "table_latency",
    "table_latency_at",
    "width_grid",
    "width_groups",
]
