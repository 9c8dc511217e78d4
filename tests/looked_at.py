"""Looks, policies and versions in a store's ledger, for tests without MLflow."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from foundry_tasks.contract.artifacts import ledger_key, sha256_of
from foundry_tasks.contract.documents.promote import Event
from foundry_tasks.contract.policy import Policy, built_in, policy_digest
from foundry_tasks.contract.ports import Store
from foundry_tasks.ledger.chain import EvidenceLog, Ledger
from foundry_tasks.ledger.evidence import CHAIN, LookFacts, Sample, change_record, look_record
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.ledger.records import Digests, Entry, model_name

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST = date(2026, 1, 1)
SESSIONS = 20


def forecast_of(name: str) -> str:
    """Digest of the P&L of a forecast with a name."""
    return sha256_of(name.encode())


def add_look(
    store: Store,
    name: str,
    *,
    market: str = "us",
    horizon: int = 5,
    first: date = FIRST,
    deviations: Iterable[str] = (),
) -> None:
    """Append a look at a forecast with a name, on SESSIONS days from `first` on. All looks of a market have equal rows."""
    facts = LookFacts(
        market=market,
        run=f"foundry_train/{name}",
        when=NOON,
        forecasts={horizon: forecast_of(name)},
        sessions=tuple(first + timedelta(days=day) for day in range(SESSIONS)),
        rows=Sample(hashes=(sha256_of(f"{market} {first}".encode())[:16],), size=256),
        tickers=Sample(hashes=(sha256_of(market.encode())[:16],), size=64),
        recipe=sha256_of(name.encode()),
        policy=policy_digest(built_in()),
        window=10,
        deviations=tuple(deviations),
    )
    record = look_record(facts, EvidenceLog(store).state())
    if record is not None:
        store.create(ledger_key(CHAIN, record.sequence), record.document())


def add_policy(store: Store, changes: Policy, *, market: str = "us", authenticated: bool = False) -> None:
    """Append a change of a market's policy by ann."""
    signed = SignOff("ann", "as we agreed", NOON, authenticated)
    record = change_record(market, changes, signed, EvidenceLog(store).state())
    if record is not None:
        store.create(ledger_key(CHAIN, record.sequence), record.document())


def add_version(
    store: Store,
    version: int,
    *events: Event,
    forecast: str = "",
    why: str = "so",
    market: str = "us",
    horizon: int = 5,
    authenticated: bool = False,
) -> None:
    """Append a version with these events to a model's ledger. Later events of a challenger are decisions by ann."""
    model = model_name(market, horizon)
    known = Digests(run="foundry_train/run", forecast=forecast_of(forecast) if forecast else "")
    first = () if version in Ledger(store).state(model).versions else ("registered",)
    for number, event in enumerate((*first, *events)):
        person = number > 1 or event == "rolled_back"
        entry = Entry(
            event=event,
            version=version,
            sha256=sha256_of(f"{model} {version}".encode()),
            who="ann" if person else "run foundry_train/run",
            authenticated=person and authenticated,
            when=NOON,
            why=why,
            digests=known,
        )
        Ledger(store).append(model, lambda _, entry=entry: entry)  # type: ignore[misc] # mypy infers no default
