"""Sequence models, in Keras: what they are made of, how they learn, and how a saved one scores without TensorFlow."""
