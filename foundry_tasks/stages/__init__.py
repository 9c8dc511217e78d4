"""One module per stage: `run(config, io)` reads, calls pure functions and publishes. Stages share artifacts only."""
