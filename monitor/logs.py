"""Logs: one event a line, with a UTC time and a level.

Guarantees: lines are JSON unless a person watches. Must never: carry payloads or secrets; callers
log names, counts and reasons.
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(*, json_lines: bool) -> None:
    """Send this product's events, and the warnings of its libraries, to stderr."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    renderer = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
