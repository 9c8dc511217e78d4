"""Forward passes of the networks in NumPy, which score saved networks. Keras builds and trains the same networks."""
