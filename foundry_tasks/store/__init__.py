"""Integrity check and garbage collection of the store."""
