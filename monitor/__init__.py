"""calmon: a streaming calibration drift monitor."""

__version__ = "0.1.0"
