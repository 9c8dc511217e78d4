"""Rows as lines of JSON, for `foundry ledger show` and `foundry trials`."""

import json
import sys
from collections.abc import Iterable, Mapping

from pydantic import JsonValue


def print_rows(rows: Iterable[Mapping[str, JsonValue]]) -> None:
    """Write each row as one line of JSON to stdout."""
    sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
