"""Column names in common use, and the role that a name alone implies."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

NONE_DECLARED: Mapping[str, str] = MappingProxyType({})

_WORDS: Mapping[str, str] = {
    "date": "date datetime timestamp tradedate tradingdate tradingday businessdate busdate pricedate quotedate bardate "
    "marketdate valuedate asof asofdate datadate windowstart caldt dlycaldt yyyymmdd dtyyyymmdd dateutc dt day session time "
    "datum fecha data index unnamed0",
    "ticker": "ticker symbol tic tickersymbol stocksymbol sym ric tscode orderbookid",
    "open": "open openprice openingprice priceopen openprc dlyopen prcod pxopen eroffnung eroeffnung eroffnungskurs erster "
    "ouverture otwarcie",
    "high": "high highprice pricehigh dayhigh askhi dlyhigh prchd pxhigh hoch hochst plushaut najwyzszy",
    "low": "low lowprice pricelow daylow bidlo dlylow prcld pxlow tief tiefst plusbas najnizszy",
    "close": "close closeprice closingprice priceclose closelast prc dlyclose prccd pxlast trdprc1 schluss schlusskurs "
    "cloture zamkniecie closeclosepriceadjustedforsplits",
    "adj_close": "adjclose closeadj adjustedclose closeadjusted adjusted adjprice adjustedprice adjprc adjcloseprice "
    "adjustedcloseprice adjclosingprice adjustedclosingprice adjcloseadjustedclosepriceadjustedforsplitsand"
    "dividendandorcapitalgaindistributions",
    "volume": "volume vol sharevolume volumeshares tradingvolume tradevolume tradedvolume totalvolume volumetraded "
    "sharestraded dlyvol cshtrd pxvolume acvol1 volumen wolumen totaltradedquantity",
    "sector": "sector sectorname gicssector gicssectorname gsector",
    "start_date": "startdate start begindate begin fromdate datefrom from validfrom dateadded added entrydate joined",
    "end_date": "enddate end ending todate dateto to thru thrudate through validto dateremoved removed exitdate left",
}
"""Role → its common names in normal form, in order of preference among equal columns."""
_LOOSE = "code stockcode instrumentcode asset stock instrument"
_IDENTIFIERS = "permno permco gvkey isin cusip sedol figi wkn securityid secid assetid instrumentid stkcd"
"""Names of identifiers. An identifier may serve as the ticker; beside a ticker column it must distinguish the same rows. The
words of `_LOOSE` may also name a company."""
_COMPANIES = "name company companyname security securityname comnam conm shortname longname"
"""Names of a company column. It serves as the ticker only if no other column does."""
NAMES: Mapping[str, tuple[str, ...]] = {role: tuple(words.split()) for role, words in _WORDS.items()}
LOOSE, COMPANIES = tuple(_LOOSE.split()), tuple(_COMPANIES.split())
IDENTIFIERS = (*_IDENTIFIERS.split(), *LOOSE)
WEAK_DATES = ("index", "unnamed0")
"""Names that pandas gives an index. Such a column is the date only if it holds dates."""
LETTERS: Mapping[str, str] = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "t": "date"}
"""Polygon's one-letter names; used only in a file with `c` and without a named close."""
ROLE_OF: Mapping[str, str] = {name: role for role, names in NAMES.items() for name in names} | dict.fromkeys(
    (*IDENTIFIERS, *COMPANIES), "ticker"
)
RANK: Mapping[str, int] = {
    name: rank
    for names in ({**NAMES, "ticker": (*NAMES["ticker"], *IDENTIFIERS, *COMPANIES)}).values()
    for rank, name in enumerate(names)
}

_UNIT = re.compile(r"[(\[]\s*(?:usd|eur|gbp|gbx|chf|jpy|cny|hkd|inr|cad|aud|krw|brl|sek|nok|dkk|pln|shares)\s*[)\]]")
_NUMBERING = re.compile(r"^\W*\d+\s*[.):]\s+")
_PRICE_PARTS = re.compile(r"clos|price|prc|adjust|vwap|settl|bid|ask|cfac|ajex|factor")
_PRICE_WORDS = frozenset({"adj", "last", "px", "mid", "nav", "open", "high", "low", "vw"})
_INSERTION = re.compile(
    r"(?:last)?(?:created?|updated?|insert(?:ed|ion)?|modified|load(?:ed)?|ingest(?:ed|ion)?|fetched|downloaded)"
    r"(?:at|on|time|ts|date|timestamp|datetime)?"
)


@lru_cache(4096)
def normal(name: str) -> str:
    """A column name in normal form: no case, accents, blanks, punctuation, leading number or unit in brackets."""
    text = _UNIT.sub("", _NUMBERING.sub("", unicodedata.normalize("NFKD", name).casefold()))
    return re.sub(r"[\W_]+", "", text)


def column_of(name: str, declared: Mapping[str, str] = NONE_DECLARED) -> str:
    """The role of a column by its name, declared columns first; the tidied name itself if it implies no role.

    declared: role → column name.

    >>> column_of("Adj Close"), column_of("PERMNO"), column_of("Short Interest")
    ('adj_close', 'ticker', 'short_interest')
    """
    plain = re.sub(r"[\s-]", "_", str(name).strip().lower())
    for role, source in declared.items():
        if same_name(source, name):
            return role
    if normal(str(name)) in LETTERS:
        return plain
    role = ROLE_OF.get(normal(str(name)), plain)
    return plain if role in declared else role


def same_name(one: str, other: str) -> bool:
    """Whether two names mean the same column."""
    return bool(one.strip()) and (one.strip() == other.strip() or (normal(one) == normal(other) != ""))


def is_time_of_insertion(name: str) -> bool:
    """Whether a name means the time at which a row was written, such as `updated_at`."""
    return bool(_INSERTION.fullmatch(normal(name)))


def sounds_like_a_price(name: str) -> bool:
    """Whether a name suggests a price or an adjustment factor; `open interest` does not."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    return bool(_PRICE_PARTS.search(normal(name))) or (bool(_PRICE_WORDS & set(words)) and "interest" not in words)
