"""One module a price source; only the chosen one is imported."""
