"""Logs: one event a line, with a UTC time and a level.

Guarantees: lines are JSON unless a person watches, those of libraries and of Python's own warnings
too. Must never: carry payloads or secrets; callers log names, counts and reasons.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logs(*, json_lines: bool) -> None:
    """Send this product's events, and the warnings of its libraries, to stderr."""
    shape: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render: Processor = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shape, render],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    of_libraries = logging.StreamHandler(sys.stderr)
    of_libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library, *shape],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[of_libraries], force=True)
    logging.captureWarnings(capture=True)


def _name_library(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say which library speaks; its message is the event."""
    event["logger"] = event["_record"].name
    return event
