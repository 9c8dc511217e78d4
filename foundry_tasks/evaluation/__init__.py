"""How a forecast is measured: one definition a metric."""
