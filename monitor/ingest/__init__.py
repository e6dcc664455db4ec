"""Kafka in: wire formats, files and the worker that counts exactly once."""
