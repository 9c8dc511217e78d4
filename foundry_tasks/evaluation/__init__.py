"""Metrics, backtest, forward simulation and monitoring of forecasts."""
