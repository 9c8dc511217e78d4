"""What a stage asks of its run, read from the artifacts of the stages before it and typed."""
