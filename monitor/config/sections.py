"""A section of the configuration file, and a key of it.

Guarantees: strict types, unknown keys refused, immutable values. Must never: know which keys
there are; `keys.py` does.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Keys(BaseModel):
    """A mapping of the file: strict types, unknown keys refused, immutable."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=False
    )


def key(default: Any, meaning: str, *, example: str, **bounds: Any) -> Any:  # noqa: ANN401  # as Field
    """A key with its default, its meaning, an example as it would be written, and bounds."""
    return Field(default=default, description=meaning, examples=[example], **bounds)


def _absent_is_empty(value: Any) -> Any:  # noqa: ANN401  # a validator sees whatever YAML held
    """`models:` with every line under it commented out is an empty mapping, not a fault."""
    return {} if value is None else value


SECTION = BeforeValidator(_absent_is_empty)
"""Of a section that may stand there with nothing under it."""
