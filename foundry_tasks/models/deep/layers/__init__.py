"""Layers written in `keras.ops` alone: TensorFlow, JAX and PyTorch train them, numpy runs them."""
