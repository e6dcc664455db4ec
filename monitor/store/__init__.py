"""Postgres: the one schema declaration and every SQL statement."""
