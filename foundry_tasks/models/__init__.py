"""Base models, their stacking and calibration. A fitted model is JSON, never a pickle."""
