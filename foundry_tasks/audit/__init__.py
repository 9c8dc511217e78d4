"""Audits of the pipeline: leakage, and size and power of the gates."""
