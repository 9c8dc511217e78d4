"""Read a text file as columns. Encoding, separator, header rows and number format are recognised from its first lines."""

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.column_names import NONE_DECLARED
from foundry_tasks.data.layouts import Name, header_rows
from foundry_tasks.data.numerals import Numerals, misfit, numbers, recognised
from foundry_tasks.data.panel import PRICE_FIELDS
from foundry_tasks.data.tidy import column_of

if TYPE_CHECKING:
    from _csv import Reader

TEXT_COLUMNS = ("date", "ticker", "sector", "start_date", "end_date")
_SEPARATORS = (",", ";", "\t", "|")
_SPOKEN = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
_HEAD_BYTES, _HEAD_LINES, _HEAD_ROWS = 2**16, 6, 100
_BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_LONGEST_NUMBER = 60
_SAVE_AS_UTF8 = "Save it as UTF-8."
_DECIMAL_FRACTION = re.compile(r"\s*-?\d+[.,]\d+\s*")


@dataclass(frozen=True)
class _Form:
    """Format of a text file. names: one a column. body, body_line: offset in bytes and in lines of the first row of values.

    sample: the first rows of values.
    """

    names: list[Name]
    separator: str
    body: int
    body_line: int
    sample: list[list[str]]


def read_text(data: bytes, where: str, columns: Mapping[str, str] = NONE_DECLARED) -> tuple[pd.DataFrame, list[str]]:
    """The columns of a text file as int64, float64 or text, and notes on every format that is not plain csv.

    Columns with a name for dates, tickers or sectors stay text: NA and TRUE are tickers. With two header rows, the names are
    pairs. An empty file has no columns. where: the source in an error. columns: declared names, role → column. Raises
    DataRejectedError for unreadable or ambiguous content.
    """
    text, notes = _as_utf8(data, where)
    if b"\r" in text[:_HEAD_BYTES]:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    form, more = _form_of(text, where)
    if not form.names:
        return pd.DataFrame(), notes
    table = _parsed(text, form, where)
    read, numeral_notes = _typed(table, form, where, columns, quoted=b'"' in text)
    frame = pa.table(read, [str(index) for index in range(len(read))]).to_pandas()
    frame.columns = pd.Index(form.names, tupleize_cols=False)
    return frame, notes + more + numeral_notes


# ---------------------------------------------------------------- encoding
def _as_utf8(data: bytes, where: str) -> tuple[bytes, list[str]]:
    bom = next((bom for bom in _BOMS if data.startswith(bom)), b"")
    encoding = _BOMS[bom] if bom else _without_bom(data)
    body = data[len(bom) :]
    if encoding == "utf-8":
        if body.isascii():
            return _text_only(body, where), []
        try:
            body.decode()
        except UnicodeDecodeError as error:
            if bom:
                raise DataRejectedError(
                    f"{where} is no UTF-8 at byte {error.start + len(bom):,}, though it says so. {_SAVE_AS_UTF8}"
                ) from error
            return _western(body, where)
        return _text_only(body, where), []
    try:
        decoded = body.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataRejectedError(
            f"{where} is no {encoding.upper()} at byte {error.start + len(bom):,}: it may be cut off or damaged. "
            f"Write or download it again. {_SAVE_AS_UTF8}"
        ) from error
    return _text_only(decoded.encode(), where), [f"text in {encoding.upper()}"]


def _without_bom(data: bytes) -> str:
    """UTF-16 if most even or most odd bytes of the head are zero, as for Latin letters and digits; else UTF-8."""
    head = data[: _HEAD_BYTES - _HEAD_BYTES % 2]
    even, odd = head[::2], head[1::2]
    for encoding, zeros, letters in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if zeros and zeros.count(0) > 0.6 * len(zeros) and letters.count(0) < 0.1 * len(letters):
            return encoding
    return "utf-8"


def _text_only(text: bytes, where: str) -> bytes:
    if b"\0" in text:
        raise DataRejectedError(
            f"{where} is no text: byte {text.index(0) + 1:,} of it is zero. It may be damaged, or another kind of file by "
            "its content: write or download it again."
        )
    return text


def _western(data: bytes, where: str) -> tuple[bytes, list[str]]:
    """Decode Windows-1252, which contains Latin-1. Raises DataRejectedError for text that does not look Western European.

    In Western European names letters beyond ASCII occur alone or in pairs. In Cyrillic, Chinese or Japanese text they occur
    in longer runs, and the encoding cannot be determined.
    """
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", data[:_HEAD_BYTES])] or [
        len(run[0]) for run in islice(re.finditer(rb"[\x80-\xff]+", data), 1000)
    ]
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    if not text or sum(run > 2 for run in runs) * 2 > len(runs):
        raise DataRejectedError(
            f"{where} is neither UTF-8 nor UTF-16, and its letters do not look like Western European ones. {_SAVE_AS_UTF8}"
        )
    return _text_only(text.encode(), where), ["text in Windows-1252 (Latin-1)"]


# ---------------------------------------------------------------- header and separator
def _form_of(text: bytes, where: str) -> tuple[_Form, list[str]]:
    notes: list[str] = []
    start = len(text) - len(text.lstrip(b"\r\n"))
    line = text[:start].count(b"\n")
    declared = re.match(rb"sep=(.)\n", text[start : start + 6])  # Excel's declaration of the separator
    if declared:
        start, line = start + declared.end(), line + 1
    head = text[start : _head_end(text, start)].decode(errors="ignore")
    if not head.strip():
        return _Form([], ",", start, line, []), notes
    separator = declared[1].decode() if declared else _separator(head, where)
    if separator not in _SEPARATORS:
        raise DataRejectedError(
            f"{where} declares {separator!r} as its separator. Write it with one of , ; | or a tab."
        )
    if separator != ",":
        notes.append(f"fields separated by {_SPOKEN[separator]}")
    rows = list(islice(_rows(head, separator), _HEAD_ROWS))
    names, count = header_rows(rows)
    body = start
    for _ in range(count):
        body = text.find(b"\n", body) + 1 or len(text)
    return _Form(names, separator, body, line + count, [row for row in rows[count:] if row]), notes


def _head_end(text: bytes, start: int) -> int:
    """End of the last whole line within the first `_HEAD_BYTES`, but at least `_HEAD_LINES` lines."""
    if start + _HEAD_BYTES >= len(text):
        return len(text)
    end = text.rfind(b"\n", start, start + _HEAD_BYTES) + 1
    if text.count(b"\n", start, end) >= _HEAD_LINES:
        return end
    end = start
    for _ in range(_HEAD_LINES):
        end = text.find(b"\n", end) + 1 or len(text)
    return end


def _rows(text: str, separator: str) -> "Reader":
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)


def _separator(head: str, where: str) -> str:
    """The separator: it splits the header and the first rows into equally many fields.

    Ties are decided by the number of known column names in the header. Raises DataRejectedError if two remain equal.
    """
    first = head.splitlines()[0]
    present = [mark for mark in _SEPARATORS if mark in first]
    if len(present) < 2:
        return present[0] if present else ","
    rows = {mark: [row for row in islice(_rows(head, mark), 30) if row] for mark in present}
    even = [mark for mark, found in rows.items() if len({len(row) for row in found}) == 1 and len(found[0]) > 1]
    if len(even) == 1:
        return even[0]
    roles = {mark: sum(column_of(cell) in (*TEXT_COLUMNS, *PRICE_FIELDS) for cell in rows[mark][0]) for mark in present}
    best = sorted(even or present, key=lambda mark: -roles[mark])
    if roles[best[0]] == roles[best[1]]:
        raise DataRejectedError(
            f"{where} can be separated by {_SPOKEN[best[0]]} or by {_SPOKEN[best[1]]}. Write it with commas, and names "
            "that hold commas in quotes."
        )
    return best[0]


# ---------------------------------------------------------------- values
def _parsed(text: bytes, form: _Form, where: str) -> pa.Table:
    names = [str(index) for index in range(len(form.names))]
    if not text[form.body :].strip():
        return pa.table({name: pa.array([], pa.string()) for name in names})
    quoted = b'"' in text
    body = pa.py_buffer(text).slice(form.body)
    if quoted and re.search(rb'[,;|] +"', text[:_HEAD_BYTES]):
        spaced = rb"(" + re.escape(form.separator.encode()) + rb') +"'
        body = pa.py_buffer(re.sub(spaced, rb'\1"', text[form.body :]))
    longest = max((len(first) for first in text[form.body : form.body + 2**22].splitlines()[:2]), default=0)
    try:
        return pa.csv.read_csv(
            pa.BufferReader(body),
            pa.csv.ReadOptions(column_names=names, block_size=max(2**20, 8 * longest)),
            pa.csv.ParseOptions(delimiter=form.separator, newlines_in_values=quoted),
            pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise _uneven(text, form, where) or error from error


def _uneven(text: bytes, form: _Form, where: str) -> DataRejectedError | None:
    """The error for the first row with another number of fields than the header; None without such a row."""
    rows = _rows(text[form.body :].decode(errors="replace"), form.separator)
    wanted = len(form.names)
    for row in rows:
        if row and len(row) != wanted:
            return DataRejectedError(
                f"{where}: line {form.body_line + rows.line_num:,} has {len(row):,} fields, its header has {wanted:,}. It may "
                "be cut off or damaged, or a field holds the separator and needs quotes."
            )
    return None


def _typed(
    table: pa.Table, form: _Form, where: str, columns: Mapping[str, str], *, quoted: bool
) -> tuple[list[pa.ChunkedArray], list[str]]:
    roles = [column_of(name[-1] if isinstance(name, tuple) else name, columns) for name in form.names]
    samples = [[row[index] for row in form.sample if index < len(row)] for index in range(len(form.names))]
    is_text = _text_columns(form.names, roles, samples)
    notes = []
    numerals = Numerals()
    if form.separator != "," or quoted:
        fields = [index for index, role in enumerate(roles) if role in PRICE_FIELDS and not is_text[index]]
        proving = fields or [index for index in range(len(roles)) if not is_text[index]]
        numerals = recognised(
            (samples[index] for index in proving), where, comma_is_separator=form.separator == "," and not quoted
        )
        if numerals.decimal == ",":
            notes.append("decimal comma")
    read: list[pa.ChunkedArray] = []
    for index, name in enumerate(form.names):
        column = table[index]
        if not is_text[index] and samples[index]:
            is_text[index] = not any(numerals.may_be(cell) for cell in samples[index])
        found = None if is_text[index] else numbers(column, numerals, samples[index])
        if found is None and not is_text[index] and (odd := misfit(column, numerals)) is not None:
            raise DataRejectedError(
                f"{where}: {odd!r} in column {_spoken(name)} is written with another decimal mark than the rest of the file. "
                "Write plain decimal numbers, such as 1234.56."
            )
        if (
            found is None
            and roles[index] in PRICE_FIELDS
            and (pc.max(pc.utf8_length(column)).as_py() or 0) > _LONGEST_NUMBER
        ):
            raise DataRejectedError(
                f"{where}: column {_spoken(name)} holds a text of more than {_LONGEST_NUMBER} characters where a number "
                "belongs. A quotation mark may be open: write or download it again."
            )
        read.append(column if found is None else found)
    return read, notes


def _text_columns(names: Sequence[Name], roles: Sequence[str], samples: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns stay text: dates, tickers, sectors, and digits with leading zeros.

    In a wide table of closes a column of decimal fractions is numeric also under a name such as DAY, which is a ticker.
    """
    long = any(role in ("close", "adj_close") for role in roles)
    return [
        isinstance(name, str)
        and (
            (role in TEXT_COLUMNS and (long or not any(map(_DECIMAL_FRACTION.fullmatch, cells))))
            or any(cell[:1] == "0" and len(cell) > 1 and cell.isdigit() for cell in cells)
        )
        for name, role, cells in zip(names, roles, samples, strict=True)
    ]


def _spoken(name: Name) -> str:
    return name[:40] if isinstance(name, str) else " ".join(name)[:40]
