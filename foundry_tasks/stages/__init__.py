"""One module a stage: `run(config, io)` reads, calls the pure part and publishes. Stages meet through artifacts alone."""
