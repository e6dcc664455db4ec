"""Configuration: one YAML file for models and policies, the environment for connections.

Guarantees: `load` gives settings that can be run with, or one ConfigError that lists every
problem with file, line, key and mend. Must never: be imported by a room below the composition
root; they take plain arguments.
"""

from __future__ import annotations

from monitor.config.describe import describe, describe_text
from monitor.config.environment import Connections
from monitor.config.problems import ConfigError, Problem
from monitor.config.settings import Settings, load, parse

__all__ = [
    "ConfigError",
    "Connections",
    "Problem",
    "Settings",
    "describe",
    "describe_text",
    "load",
    "parse",
]
