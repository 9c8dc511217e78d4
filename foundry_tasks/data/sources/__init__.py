"""Price sources, one module each; only the chosen one is imported."""
