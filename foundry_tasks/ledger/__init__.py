"""Who decided what about which version, and what follows from it."""
