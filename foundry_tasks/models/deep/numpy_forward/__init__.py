"""Forward passes of the networks in NumPy: they score saved networks. Keras builds and trains the same networks."""
