"""Judging: sealed cohorts, a policy and change events become verdicts."""
