"""The report: one plain document from a run's artifacts, and three ways to read it. Pure but for what `summary` reads."""
