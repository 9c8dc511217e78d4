"""The price sources, a module each, named as a conf names it; `live` holds those that are asked over the network.

A module holds `open_source`, a `data.price_source.OpenSource`. Only the chosen module is imported.
"""
