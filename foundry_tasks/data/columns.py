"""Map a file's columns to roles. A role has one column, declared or found by its common names.

Several candidates for a role are compared: equal columns count as one, different ones are refused by name. Every choice is
reported.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from foundry_tasks.contract.errors import ConfigError, DataRejectedError
from foundry_tasks.data.column_content import ColumnType, alike, has_times, holds_dates, one_to_one
from foundry_tasks.data.column_names import (
    COMPANIES,
    IDENTIFIERS,
    LETTERS,
    LOOSE,
    RANK,
    ROLE_OF,
    WEAK_DATES,
    is_time_of_insertion,
    normal,
    same_name,
    sounds_like_a_price,
)
from foundry_tasks.data.panel import PRICE_FIELDS

_REPEATED = re.compile(r"(.+)\.\d+")
"""pandas' name for the second `Close` of a csv: `Close.1`."""
_LISTED = 12
_LOOSE_WORD, _COMPANY = 2, 3


@dataclass(frozen=True)
class Roles:
    """at: role → position of its column. notes: sentences on the choice for the report, without the file's name."""

    at: Mapping[str, int]
    notes: tuple[str, ...]


def find_roles(
    raw: pd.DataFrame, wanted: Sequence[str], where: str, declared: Mapping[str, str] | None = None
) -> Roles:
    """Find the column of each of the `wanted` roles; roles without a column are absent.

    where: the source in an error. declared: role → its column, "" for none; None if the user cannot declare columns of this
    file. Raises DataRejectedError for repeated names and for different columns of one role, ConfigError for a declared
    column that is absent.
    """
    names = [str(name).strip().lstrip("\ufeff") for name in raw.columns]
    at = _declared(names, declared or {}, where)
    taken = {position for position in at.values() if position is not None}
    _refuse_repeated(names, wanted, taken, where)
    candidates: dict[str, list[int]] = {}
    for position, role in enumerate(_roles_by_name(names)):
        if role is not None and role in wanted and role not in at and position not in taken:
            candidates.setdefault(role, []).append(position)
    choice = _Choice(raw, names, raw.dtypes.tolist(), where, can_declare=declared is not None)
    at |= {role: choice.of(role, positions) for role, positions in candidates.items()}
    found = {role: chosen for role in wanted if (chosen := at.get(role)) is not None}
    notes = choice.notes + (_unused(raw, names, found.values()) if "close" in wanted else [])
    return Roles(found, tuple(notes))


def listed(names: Collection[Hashable] | pd.Index) -> str:
    """The first dozen column names as a text, and the number of the others."""
    shown = ", ".join(str(name) for name in list(names)[:_LISTED])
    return shown + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "") or "none"


def how_to_declare(role: str, column: str) -> str:
    """The line of a market file that declares a column."""
    return f'columns = {{{role} = "{column}"}} in the market file'


def prices_by_name(raw: pd.DataFrame, used: Collection[int] = ()) -> list[str]:
    """Names of numeric columns outside `used` that suggest a price. used: positions."""
    return [
        str(name).strip()
        for position, (name, kind) in enumerate(zip(raw.columns, raw.dtypes, strict=True))
        if position not in used and kind.kind in "fiu" and sounds_like_a_price(str(name))
    ]


def _declared(names: Sequence[str], declared: Mapping[str, str], where: str) -> dict[str, int | None]:
    at: dict[str, int | None] = {}
    for role, source in declared.items():
        exact = [position for position, name in enumerate(names) if name == source.strip()]
        same = exact or [position for position, name in enumerate(names) if same_name(source, name)]
        if source and len(same) != 1:
            near = difflib.get_close_matches(source, names, 1, 0.0)
            fault = f"has {len(same)} columns of that name." if same else "has no such column"
            fault += f": did you mean {near[0]!r}?" if near and not same else ""
            raise ConfigError(f"columns: {role}={source}: {where} {fault} It has {listed(names)}.")
        at[role] = same[0] if source else None
    return at


def _roles_by_name(names: Sequence[str]) -> list[str | None]:
    """Each column's role by its name alone; None without one."""
    roles = [ROLE_OF.get(normal(name)) for name in names]
    if not {"close", "adj_close"} & set(roles) and "c" in map(normal, names):
        roles = [role or LETTERS.get(normal(name)) for role, name in zip(roles, names, strict=True)]
        if {"t", "T"} <= set(names):
            roles[names.index("T")] = "ticker"
    return roles


def _refuse_repeated(names: Sequence[str], wanted: Sequence[str], declared: Collection[int], where: str) -> None:
    known = set(names)
    bases = [_REPEATED.fullmatch(name) for name in names]
    written = [base[1] if base and base[1] in known else name for base, name in zip(bases, names, strict=True)]
    times = Counter(written)
    for position, name in enumerate(written):
        if times[name] == 1 or position in declared:
            continue
        if ROLE_OF.get(normal(name)) in wanted or normal(name) in LETTERS or sounds_like_a_price(name):
            raise DataRejectedError(
                f"{where}: column {name} is there {times[name]} times. Write one line a date and ticker, with a ticker "
                "column and each other column once."
            )


@dataclass
class _Choice:
    """Chooses the column of a role among its candidates by name."""

    raw: pd.DataFrame
    names: Sequence[str]
    kinds: Sequence[ColumnType]
    where: str
    can_declare: bool
    notes: list[str] = field(default_factory=list)

    def of(self, role: str, positions: list[int]) -> int | None:
        """Position of the role's column; None if no candidate qualifies. Raises DataRejectedError if candidates differ."""
        positions = sorted(positions, key=lambda position: (RANK.get(normal(self.names[position]), 0), position))
        narrowed: Mapping[str, Callable[[list[int]], list[int]]] = {"date": self._dates, "ticker": self._tickers}
        positions = narrowed.get(role, self._numbers if role in PRICE_FIELDS else list)(positions)
        if not positions:
            return None
        first, *others = positions
        together = listed([self.names[position] for position in positions])
        if not all(alike(role, self._column(first), self._column(other)) for other in others):
            advice = (
                f"Say which: {how_to_declare(role, self.names[first])}."
                if self.can_declare
                else f"Keep one of them, under the name {role}."
            )
            raise DataRejectedError(
                f"{self.where}: columns {together} compete for the role {role} and differ. {advice}"
            )
        if others:
            self.notes.append(f"columns {together} are equal; {self.names[first]} is used as {role}")
        elif role == "adj_close" or normal(self.names[first]) in COMPANIES:
            self.notes.append(f"column {self.names[first]} is used as {role}")
        return first

    def _column(self, position: int) -> pd.Series:
        return self.raw.iloc[:, position]

    def _numbers(self, positions: list[int]) -> list[int]:
        """Drop boolean columns, such as Polygon's `adjusted: true`."""
        return [position for position in positions if self.kinds[position].kind != "b"]

    def _dates(self, positions: list[int]) -> list[int]:
        """Keep columns of dates; prefer those without a time of day, since a time of insertion is not a session."""
        if len(positions) == 1 and normal(self.names[positions[0]]) not in WEAK_DATES:
            return positions
        dated = [position for position in positions if holds_dates(self._column(position))]
        dated = dated or [position for position in positions if normal(self.names[position]) not in WEAK_DATES][:1]
        plain = [position for position in dated if len(dated) == 1 or not has_times(self._column(position))]
        for position in dated if plain else ():
            if position not in plain:
                self.notes.append(
                    f"column {self.names[position]} holds times of day and is not used; {self.names[plain[0]]} is the date"
                )
        return plain or dated

    def _tickers(self, positions: list[int]) -> list[int]:
        """The best-ranked columns, and those of lower ranks that distinguish other rows: these compete for the role.

        Ranks: ticker, identifier, loose word, company name. A company name competes only with loose words: it changes over
        time, and classes of shares have the same one.
        """
        ranks: dict[int, list[int]] = {}
        for position in positions:
            ranks.setdefault(self._rank(position), []).append(position)
        (rank, first), *lower = sorted(ranks.items())
        chosen = first[0]
        doubted = [
            position for below, others in lower if below < _COMPANY or rank == _LOOSE_WORD for position in others
        ]
        competing = [position for position in doubted if not one_to_one(self._column(chosen), self._column(position))]
        for position in doubted:
            if position not in competing:
                self.notes.append(
                    f"column {self.names[position]} tells the same tickers apart; {self.names[chosen]} is used as ticker"
                )
        return first + competing

    def _rank(self, position: int) -> int:
        """0: a ticker, 1: an identifier, 2: a loose word, 3: a company's name."""
        name = normal(self.names[position])
        return _COMPANY if name in COMPANIES else _LOOSE_WORD if name in LOOSE else 1 if name in IDENTIFIERS else 0


def _unused(raw: pd.DataFrame, names: Sequence[str], used: Collection[int]) -> list[str]:
    """Notes on unused columns that look like a price or a date."""
    inserted = [name for position, name in enumerate(names) if position not in used and is_time_of_insertion(name)]
    return [
        *(f"column {name} is not used" for name in prices_by_name(raw, used)),
        *(f"column {name} is a time of insertion and is not used" for name in inserted),
    ]
