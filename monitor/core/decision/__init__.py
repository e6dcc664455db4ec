"""Decisions that hang on scores: what cutoffs cost, and which of two models is the more honest."""
