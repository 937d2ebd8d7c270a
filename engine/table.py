"""What every table of a recipe is."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]


class Table(BaseModel):
    """A TOML table: unknown keys are refused, numbers stay numbers, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
