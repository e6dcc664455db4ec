"""The commands, one module each: they read the configuration once and hand on plain arguments."""
