"""What people decide is signed: who, and why.

Guarantees: neither is blank. Must never: make one up where the command asks for it.
"""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

Reason = Annotated[str, typer.Option(help="Why; it stands in the history.")]
Author = Annotated[str, typer.Option(help="Who decides; it stands in the history.")]


def require_signature(author: str, reason: str) -> None:
    """Raise ValueError where a decision has no author or no reason."""
    if not reason.strip() or not author.strip():
        message = "a decision needs a reason and an author; auditors read both"
        raise ValueError(message)


def this_user() -> str:
    """Name of the user whose process this is, for who need not say."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name; 3.13 raises OSError
        message = "this process's user has no name; give --author"
        raise ValueError(message) from None
