"""Live price sources. Their answers may change, so they are saved as snapshots; one source can check another."""
