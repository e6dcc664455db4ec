"""Counting: predictions meet their labels, and become counts in panes."""
