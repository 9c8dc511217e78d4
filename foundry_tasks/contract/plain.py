"""Types of plain data: values of JSON and TOML, and a conf."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeAlias

ConfValue: TypeAlias = "str | bool | int | float | date | Sequence[ConfValue] | Mapping[str, ConfValue] | None"
"""A read-only value. A list is a Sequence, a table a Mapping. JSON has no dates: `canonical_json` writes them as text."""
Conf: TypeAlias = Mapping[str, ConfValue]
"""Key → value, from a person, a market file or Airflow. `check_conf` validates it."""
