"""What a model has to show before it is promoted."""
