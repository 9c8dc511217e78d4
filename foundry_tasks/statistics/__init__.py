"""Estimators of means, intervals and errors of series of sessions."""
