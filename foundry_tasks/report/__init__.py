"""The report: one document from a run's artifacts, shown as a page, as Markdown and on the terminal.

Only `summary` reads the store, and only `price_cases` a price file.
"""
