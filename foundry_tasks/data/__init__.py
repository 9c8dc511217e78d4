"""Price sources, data checks, and the wide matrices of prices and features (sessions × tickers)."""
