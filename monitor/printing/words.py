"""Names and figures as all tables and sentences write them.

Must never: round what a JSON form holds.
"""

from __future__ import annotations

from monitor.core.claims import POSITIVE


def named(model: object, version: object) -> str:
    """Model and version, where there is one."""
    return f"{model} {version}" if version else str(model)


def of_series(claim: str, segment: str | None) -> str:
    """Claim and segment after a model's name, where they are not the ordinary ones."""
    return "".join(f" {part}" for part in (claim if claim != POSITIVE else "", segment) if part)


def figure(value: object) -> str:
    """A share to three places; - where it is not known."""
    return f"{value:.3f}" if isinstance(value, float) else "-"
