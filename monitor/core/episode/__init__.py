"""Episodes: verdicts become alerts that open, join, recover and end."""
