"""The pure core: counts, estimates, detectors and decisions; no clock, no I/O."""
