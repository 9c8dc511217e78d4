"""Purged walk-forward validation: folds, fits, the stack and its evidence."""
