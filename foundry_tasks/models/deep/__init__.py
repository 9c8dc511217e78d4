"""Sequence models: Keras builds and trains them, NumPy scores them once they are saved."""
