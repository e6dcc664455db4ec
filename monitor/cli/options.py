"""Options and arguments that many commands take, in the same words everywhere.

Must never: read a file or the environment; they only say what may be typed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file; else CALMON_CONFIG.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Predictions = Annotated[Path, typer.Argument(help="Predictions: Parquet, CSV or JSONL.")]
Labels = Annotated[Path, typer.Argument(help="Labels: Parquet, CSV or JSONL.")]
