"""The command `foundry`."""
