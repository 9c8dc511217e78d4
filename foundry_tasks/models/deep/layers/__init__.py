"""Keras layers that use `keras.ops` alone: they train with TensorFlow, JAX and PyTorch and run with NumPy."""
