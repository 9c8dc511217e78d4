"""The gates that a model must pass before it is promoted, their nulls and diagnostics."""
