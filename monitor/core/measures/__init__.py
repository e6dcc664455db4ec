"""Measures: what counts say about scores, with intervals."""
