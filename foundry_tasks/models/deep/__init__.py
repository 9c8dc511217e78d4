"""Sequence models. Keras builds and trains the networks; NumPy scores the saved ones."""
