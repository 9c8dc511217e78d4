"""One valid market under various names of columns and tickers."""

import re
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from foundry_tasks.data.column_names import COMPANIES, IDENTIFIERS, NAMES, ROLE_OF, normal
from foundry_tasks.data.tidy import COLUMNS

TICKERS = ("NA", "BRK.B", "VOD.L")
SESSIONS = pd.bdate_range("2020-01-02", periods=30).astype("datetime64[s]")


def market() -> pd.DataFrame:
    """Bars of three tickers with every column of the schema, in the form of `tidy`."""
    rng = np.random.default_rng(5)
    parts = [
        pd.DataFrame(
            {"date": SESSIONS, "ticker": ticker, **{name: rng.uniform(20, 90, len(SESSIONS)) for name in COLUMNS[2:]}}
        )
        for ticker in TICKERS
    ]
    return pd.concat(parts, ignore_index=True).astype({"ticker": "str"})


def synonyms(role: str) -> list[str]:
    """All names of a role, normalised."""
    return [*NAMES[role], *((*IDENTIFIERS, *COMPANIES) if role == "ticker" else ())]


@st.composite
def written(draw: Any, name: str) -> str:
    """Spellings of a normalised name: any case, with blanks, dots and underscores inside and signs around."""
    letters = [
        draw(st.sampled_from((letter, letter.upper())))
        + (draw(st.sampled_from(("", "", "", "_", " ", ".", "-"))) if last else "")
        for letter, last in zip(name, [True] * (len(name) - 1) + [False], strict=True)
    ]
    text = draw(st.sampled_from(("{}", "<{}>", "{}*", "{}**", " {} ", "1. {}", "{} (USD)"))).format("".join(letters))
    return text if normal(text) == name and not re.fullmatch(r".+\.\d+", text) else name


@st.composite
def renamings(draw: Any) -> dict[str, str]:
    """Schema column → another name for it."""
    return {role: draw(st.sampled_from(synonyms(role)).flatmap(written)) for role in COLUMNS}


@st.composite
def extra_columns(draw: Any, rows: int, named: Any) -> dict[str, Any]:
    """Columns of any content with names from `named`."""
    contents = (
        st.just(np.arange(rows)),
        st.just(np.linspace(-5, 1e9, rows)),
        st.just(np.full(rows, np.nan)),
        st.just([True, False] * (rows // 2) + [True] * (rows % 2)),
        st.sampled_from(("USD", "Mon", "09:30:00", "x" * 40)).map(lambda text: [text] * rows),
        st.just([f"Company {row % 7}" for row in range(rows)]),
        st.just(pd.date_range("1999-05-03 06:30", periods=rows)),
        st.just(pd.date_range("1999-05-03", periods=rows)),
        st.just([f"2020-02-{1 + row % 28:02}" for row in range(rows)]),
    )
    return {name: draw(st.one_of(contents)) for name in draw(st.lists(named, max_size=4, unique_by=normal))}


def irrelevant() -> Any:
    """Names that belong to no role."""
    words = st.text("abcdefgxyz_ ", min_size=2, max_size=12)
    return words.filter(lambda name: normal(name) and normal(name) not in ROLE_OF and len(normal(name)) > 1)
