"""Rows as lines of JSON, for `foundry ledger show` and `foundry trials`."""

import json
import sys
from collections.abc import Iterable

from foundry_tasks.contract.plain import Conf


def print_rows(rows: Iterable[Conf]) -> None:
    """One line of JSON a row on stdout."""
    sys.stdout.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
