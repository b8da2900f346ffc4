"""Training: recipes as files, one loop for every task, and nothing lost (chapter 7)."""

from mnv3lib.train.loop import TrainingError
from mnv3lib.train.predict import Predictor, load_predictor, read_picture
from mnv3lib.train.recipe import Recipe
from mnv3lib.train.recipe_files import RecipeError, load_recipe, recipe_names
from mnv3lib.train.run import Trained, evaluate_trained, load_trained, train
from mnv3lib.train.stopping import Stopped

__all__ = [
    "Predictor",
    "Recipe",
    "RecipeError",
    "Stopped",
    "Trained",
    "TrainingError",
    "evaluate_trained",
    "load_predictor",
    "load_recipe",
    "load_trained",
    "read_picture",
    "recipe_names",
    "train",
]
