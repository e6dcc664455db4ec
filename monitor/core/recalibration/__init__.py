"""Recalibration: maps that repair scores, how they are judged, and the file they are kept in."""
