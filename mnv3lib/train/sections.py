"""What all sections of recipe files have in common: the base class and the kinds of numbers."""

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Count",
    "NotNegative",
    "Pair",
    "Positive",
    "Section",
    "Share",
    "Size",
    "Triple",
    "refuse_keys",
]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Triple = Annotated[tuple[float, float, float], Field(strict=False)]
Pair = Annotated[tuple[float, float], Field(strict=False)]
Size = Annotated[tuple[Count, Count], Field(strict=False)]


class Section(BaseModel):
    """A part of a recipe: fixed once read, no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def refuse_keys(name: str, section: Section, task: str, *, refused: Collection[str]) -> None:
    """Raises a ValueError if a section asks for what means nothing in a task.

    Args:
        name: Name of the section.
        section: The section; a key with its default value asks for nothing.
        task: Name of the task.
        refused: Keys that mean nothing there.
    """
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if key in refused and value != field.get_default(call_default_factory=True):
            raise ValueError(f"{name}.{key} is {value!r}, but means nothing for {task}: remove it")
