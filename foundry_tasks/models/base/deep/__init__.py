"""The deep base models: they are trained in the CUDA image, one at a time, in a shard of their own."""
