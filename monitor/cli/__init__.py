"""The commands, one module each; the root alone knows them all."""
