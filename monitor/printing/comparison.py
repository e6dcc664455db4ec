"""What `calmon compare` prints: sentences first, then every difference with its interval.

Guarantees: what is printed comes from the same values as the JSON form. Must never: compute an
estimate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from monitor.core.decision.compare_words import TITLES, compare_json, compare_words

if TYPE_CHECKING:
    from rich.console import Console

    from monitor.core.decision.comparing import Comparison

__all__ = ["compare_json", "print_comparison"]


def print_comparison(console: Console, a: str, b: str, found: Comparison) -> None:
    """Sentences, then a table."""
    for sentence in compare_words(a, b, found):
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    table = Table(title="A - B, 95 % interval", title_justify="left")
    for name in ("", "A", "B", "difference", "interval", "shown"):
        table.add_column(name, no_wrap=True)
    for each in found.differences:
        table.add_row(
            TITLES[each.metric],
            f"{each.a:.4f}",
            f"{each.b:.4f}",
            f"{each.difference:z.4f}",
            f"{each.low:z.4f} to {each.high:z.4f}",
            "yes" if each.is_shown else "no",
        )
    console.print(table)
