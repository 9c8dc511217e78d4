"""The live price sources: what they answer may change, so it is kept as snapshots; one of them can check another."""
