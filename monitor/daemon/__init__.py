"""The process that runs: the worker and the watcher, its pages, its metrics and its end."""
