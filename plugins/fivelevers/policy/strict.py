"""What every part of a policy has in common: unknown keys are errors, and errors say what to write instead."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


def wrong(rule: str, fix: str) -> PydanticCustomError:
    """What a validator raises: the rule that its value breaks, and what to write instead."""
    return PydanticCustomError("wrong", "{rule}", {"rule": rule, "fix": fix})


def unquoted(value: object) -> object:
    """YAML 1.1 turns a bare `off` and `on` into booleans."""
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else value


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)
