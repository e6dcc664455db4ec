"""The change detector, and the tests that look beside it."""
