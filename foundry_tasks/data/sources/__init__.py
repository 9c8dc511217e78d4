"""Price sources, one module each, named as in a conf; `live` holds those that use the network.

Each module has a function `open_source`, a `data.price_source.OpenSource`. Only the chosen module is imported.
"""
