"""Recipes of searches: those that ship are whole and fit what they name; mistakes are named."""

import json
import random
from copy import deepcopy

import pytest

from mnv3lib.models import model_spec
from mnv3lib.search import (
    PPO,
    SMALL_32,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    Reward,
    macs_at,
    width_grid,
)
from mnv3lib.search.nas_recipe import NasRecipe, load_nas
from mnv3lib.search.netadapt_recipe import NetAdaptRecipe, load_netadapt
from mnv3lib.search.proposals import propose
from mnv3lib.search.run_nas import make_searcher
from mnv3lib.search.spaces import find_space
from mnv3lib.train.recipe_files import RecipeError, file_names, load_file

NAS, NETADAPT = file_names("searches/nas"), file_names("searches/netadapt")
KINDS = {"random": RandomSearch, "evolution": RegularizedEvolution, "reinforce": Reinforce}


# --- the recipes that ship -----------------------------------------------------------------------


def test_names():
    names = ("evolution", "evolution_training", "ppo", "random", "reinforce")
    assert [f"small_32/{name}" for name in names] == NAS
    assert NETADAPT == ["cifar10", "emoji"]


@pytest.mark.parametrize("name", NAS)
def test_shipped_search_can_be_built(name):
    recipe = load_nas(name)
    space = find_space(recipe.search.space)
    assert space.name == name.split("/")[0]
    kind = name.split("/")[1].split("_")[0]
    assert type(make_searcher(recipe, space, 0)) is {**KINDS, "ppo": PPO}[kind]
    assert recipe.reward.build() == Reward.soft(recipe.reward.target_ms, -0.07)
    if recipe.candidates.by == "training":
        assert recipe.candidates.load().data.held_out


def test_searches_by_the_benchmark_differ_in_the_searcher_alone():
    recipes = [load_nas(name) for name in NAS if not name.endswith("_training")]
    rest = [recipe.model_dump(exclude={"source", "searcher"}) for recipe in recipes]
    assert all(other == rest[0] for other in rest)


@pytest.mark.parametrize("name", NETADAPT)
def test_shipped_adaptation_chooses_by_images_held_out(name):
    recipe = load_netadapt(name)
    start, tune = recipe.start.load(), recipe.tune.load()
    assert start.data.held_out is None
    assert tune.data.held_out > 0
    assert (start.data.name, start.data.resolution) == (tune.data.name, tune.data.resolution)
    assert recipe.settings.cuts.delta == recipe.cuts.delta
    assert recipe.cuts.target(10.0) == pytest.approx(10 * recipe.cuts.target_share)


@pytest.mark.parametrize("wins", ["first", "last", "any"])
def test_the_small_adaptation_reaches_its_target(wins):
    """Whichever proposals win: what is shipped does not run dry."""
    recipe = load_netadapt("emoji")
    start = recipe.start.load()
    spec = model_spec(
        start.model.network,
        num_classes=12,
        width_mult=start.model.width_mult,
        **start.model.options,
    )
    cost = macs_at(start.data.resolution)
    goal, delta = recipe.cuts.target(cost(spec)), recipe.cuts.delta * cost(spec)
    grid = width_grid(spec, recipe.settings.divisor, recipe.settings.smallest_share)
    draw = random.Random(0)
    while cost(spec) > goal:
        proposals = propose(spec, cost, delta, grid)
        chosen = {"first": 0, "last": -1, "any": draw.randrange(len(proposals))}[wins]
        spec = proposals[chosen].spec


# --- what a recipe builds ------------------------------------------------------------------------


def test_options_that_are_not_given_are_the_searchers_own():
    plain = make_searcher(load_nas("small_32/ppo"), SMALL_32, 0)
    assert (plain.epochs, plain.clip) == (PPO(SMALL_32, 0).epochs, PPO(SMALL_32, 0).clip)
    recipe = load_nas("small_32/ppo", {"searcher": {"epochs": 2, "baseline_decay": 0.5}})
    changed = make_searcher(recipe, SMALL_32, 0)
    assert (changed.epochs, changed.baseline_decay) == (2, 0.5)


def test_a_hard_constraint_takes_the_place_of_w():
    content = nas()
    content["reward"] = {"target_ms": 2.0, "hard": True}
    assert NasRecipe(**content).reward.build() == Reward.hard(2.0)


def test_a_target_in_milliseconds():
    content = netadapt()
    content["cuts"] = {"target_ms": 2.0}
    content["latency"] = {"by": "runtime"}
    assert NetAdaptRecipe(**content).cuts.target(10.0) == 2.0


# --- mistakes ------------------------------------------------------------------------------------


def nas() -> dict:
    """The least that a search must say."""
    return {
        "source": "a test",
        "search": {"space": "small_32", "budget": 4},
        "searcher": {"name": "random"},
        "reward": {"target_ms": 1.0, "w": -0.07},
        "candidates": {"by": "benchmark"},
    }


def netadapt() -> dict:
    """The least that a run of NetAdapt must say."""
    recipe = {"recipe": "emoji/mobilenet_v3_small"}
    return {
        "source": "a test",
        "start": recipe,
        "tune": recipe,
        "cuts": {"target_share": 0.8},
        "latency": {"by": "macs"},
    }


def failing(tmp_path, kind, content, changes) -> str:
    """The error of a recipe with other keys in its sections."""
    lines = ['source = "a test"']
    for section, values in content.items():
        if section != "source":
            lines.append(f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        load_file(kind, str(path), "searches", changes)
    assert str(raised.value).startswith("mine.toml: ")
    return str(raised.value)


NAS_MISTAKES = {
    "unknown section": ({"reword": {"w": -1}}, "reword is no key"),
    "unknown key": ({"search": {"steps": 3}}, "search.steps is no key"),
    "budget": ({"search": {"budget": 0}}, "search.budget"),
    "searcher": ({"searcher": {"name": "luck"}}, "luck"),
    "an option of another searcher": ({"searcher": {"population": 5}}, "population is no key"),
    "w above 0": ({"reward": {"w": 0.1}}, "reward.w"),
    "two constraints": ({"reward": {"hard": True}}, "either w"),
    "candidates": ({"candidates": {"by": "guessing"}}, "guessing"),
    "no recipe": ({"candidates": {"by": "training"}}, "recipe is missing"),
    "executor": ({"executor": {"kind": "threads"}}, "executor.kind"),
    "workers": ({"executor": {"workers": 0}}, "executor.workers"),
    "a value": ({"source": {"x": 1}}, "source is a value"),
}


@pytest.mark.parametrize("case", NAS_MISTAKES)
def test_mistakes_in_a_search_are_named(case, tmp_path):
    changes, text = NAS_MISTAKES[case]
    assert text in failing(tmp_path, NasRecipe, nas(), changes)


NETADAPT_MISTAKES = {
    "delta 0": ({"cuts": {"delta": 0.0}}, "cuts.delta"),
    "delta larger than the network": ({"cuts": {"delta": 1.5}}, "cuts.delta"),
    "target out of reach": (
        {"cuts": {"delta": 0.025, "decay": 0.96, "target_share": 0.25}},
        "75.0% off, but cuts of 0.025 that decay by 0.96 add up to less than 62.5%",
    ),
    "two targets": ({"cuts": {"target_ms": 1.0}}, "either target_share"),
    "rule": ({"proposals": {"rule": "best"}}, "proposals.rule"),
    "divisor": ({"proposals": {"divisor": 0}}, "proposals.divisor"),
    "latency": ({"latency": {"by": "guessing"}}, "guessing"),
    "option of another latency": ({"latency": {"rounds": 3}}, "rounds is no key"),
}


@pytest.mark.parametrize("case", NETADAPT_MISTAKES)
def test_mistakes_in_an_adaptation_are_named(case, tmp_path):
    changes, text = NETADAPT_MISTAKES[case]
    assert text in failing(tmp_path, NetAdaptRecipe, netadapt(), changes)


def test_no_target_and_milliseconds_of_multiply_adds_are_named():
    for cuts, text in (({}, "either target_share"), ({"target_ms": 2.0}, "no milliseconds")):
        content = deepcopy(netadapt())
        content["cuts"] = cuts
        with pytest.raises(ValueError, match=text):
            NetAdaptRecipe(**content)


def test_unknown_recipes_name_the_nearest():
    with pytest.raises(FileNotFoundError, match="small_32/evolution"):
        load_nas("small_32/evolutoin")
    with pytest.raises(FileNotFoundError, match="emoji"):
        load_netadapt("emojis")
