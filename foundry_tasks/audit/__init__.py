"""Whether the pipeline leaks and whether the gates can be trusted."""
