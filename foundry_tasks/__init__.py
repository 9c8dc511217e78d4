"""Foundry: the package that runs inside a stage's container."""
