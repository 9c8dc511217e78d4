"""Recognise a text file's number format: decimal point or comma, thousands marks. An ambiguous format is refused."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.tidy import NO_VALUE

_SPACES = " \u00a0\u202f\u2009"
_SIGN, _EXPONENT = "[-+\u2212]?", "(?:[eE][-+]?[0-9]+)?"
_ADVICE = "Write plain decimal numbers, such as 1234.56."


@dataclass(frozen=True)
class Numerals:
    """The number format of a whole file. decimal: "." or ","."""

    decimal: str = "."

    @property
    def grouping(self) -> str:
        """Characters that may separate thousands."""
        return ("," if self.decimal == "." else ".") + "'\u2019" + _SPACES

    @property
    def pattern(self) -> str:
        """Regular expression of a number: plain digits, or groups of three separated by one and the same mark."""
        fraction = f"[{self.decimal}][0-9]"
        groups = "|".join(f"[1-9][0-9]{{0,2}}(?:[{mark}][0-9]{{3}})+" for mark in self.grouping)
        return f"^{_SIGN}(?:(?:{groups})(?:{fraction}*)?|(?:[0-9]+(?:{fraction}*)?|{fraction}+){_EXPONENT})$"

    def may_be(self, cell: str) -> bool:
        """Whether a cell is a number or one of `NO_VALUE`."""
        return cell.strip() in NO_VALUE or re.match(self.pattern, cell.strip()) is not None


def recognised(columns: Iterable[Sequence[str]], where: str, *, comma_is_separator: bool) -> Numerals:
    """The number format that the cells of `columns` prove; a decimal point if none does.

    One group of three digits after a mark, as in 1.234, is ambiguous. In a file that commas separate, it is read with a
    decimal point.

    columns: the first cells of each column of numbers. where: the source in an error. comma_is_separator: whether commas
    separate the fields. Raises DataRejectedError if the cells prove both formats, or if all of them are ambiguous.

    >>> recognised([["1.234,56", "7"]], "prices.csv", comma_is_separator=False)
    Numerals(decimal=',')
    """
    proof: dict[str, str] = {}
    either: dict[str, str] = {}
    for cell in (cell.strip() for column in columns for cell in column):
        point, comma = (re.match(Numerals(mark).pattern, cell) is not None for mark in ".,")
        marks = set(cell) & {".", ","}
        if point != comma:
            proof.setdefault("." if point else ",", cell)
        elif point and marks:
            either.setdefault(min(marks), cell)
    if len(proof) == 2:
        raise DataRejectedError(
            f"{where} writes numbers with a decimal point ({proof['.']!r}) and with a decimal comma ({proof[',']!r}). {_ADVICE}"
        )
    if proof:
        return Numerals(next(iter(proof)))
    if either and not (comma_is_separator and set(either) == {"."}):
        raise DataRejectedError(
            f"{where}: {next(iter(either.values()))!r} can be read with a decimal mark or with one between thousands, and no "
            f"number in its first lines decides. {_ADVICE}"
        )
    return Numerals()


def numbers(column: pa.ChunkedArray, numerals: Numerals, sample: Sequence[str] = ()) -> pa.ChunkedArray | None:
    """A column of text as int64 or float64, exactly; None if a cell with a value is not a number.

    sample: the first cells; a decimal point among them skips the attempt as int64.
    """
    if numerals.decimal == ".":
        kinds = (pa.float64(),) if any("." in cell for cell in sample[:3]) else (pa.int64(), pa.float64())
        for kind in kinds:
            try:
                return column.cast(kind)
            except pa.ArrowInvalid:
                continue
    cells = pc.utf8_trim_whitespace(column)
    cells = pc.if_else(pc.is_in(cells, value_set=pa.array(NO_VALUE)), pa.scalar(None, pa.string()), cells)
    if not pc.all(pc.match_substring_regex(cells, numerals.pattern), min_count=0).as_py():
        return None
    cells = pc.replace_substring_regex(cells, f"[{numerals.grouping}]", "")
    cells = pc.replace_substring(pc.replace_substring(cells, "\u2212", "-"), numerals.decimal, ".")
    return cells.cast(pa.float64())


def misfit(column: pa.ChunkedArray, numerals: Numerals) -> str | None:
    """The first cell that is a number in the other format but not in this one; None without such a cell."""
    other = Numerals("," if numerals.decimal == "." else ".")
    cells = pc.utf8_trim_whitespace(column)
    odd = pc.and_(
        pc.match_substring_regex(cells, other.pattern), pc.invert(pc.match_substring_regex(cells, numerals.pattern))
    )
    found = pc.filter(cells, odd)
    return found[0].as_py() if len(found) else None
