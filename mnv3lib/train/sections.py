"""What all sections of recipe files have in common: the base class and the kinds of numbers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Count", "NotNegative", "Pair", "Positive", "Section", "Share", "Size", "Triple"]

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
