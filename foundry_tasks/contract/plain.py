"""Plain data: what JSON and TOML can say, and a conf made of it."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeAlias

ConfValue: TypeAlias = "str | bool | int | float | date | Sequence[ConfValue] | Mapping[str, ConfValue] | None"
"""To be read, never changed: a list is a sequence of values, a table a mapping. JSON lacks days; `canonical_json` writes text."""
Conf: TypeAlias = Mapping[str, ConfValue]
"""Key → value, as a person, a market file or Airflow gives it; `check_conf` says whether it can be."""
