"""Typed inputs of a stage, read from the artifacts of earlier stages of the run and from the store."""
