"""Alerts out: rendering is pure, sending is the only network line."""
