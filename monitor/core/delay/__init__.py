"""Delayed labels: how they come, when a pane is ripe, and what unripe ones show."""
