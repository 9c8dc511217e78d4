"""What a person is told before a decision: verdict and look of a version, or old and new values of a policy."""

import json
from datetime import date

from pydantic import JsonValue

from foundry_tasks.contract.plain import Conf
from foundry_tasks.contract.policy import Policy, checked_changes, looser
from foundry_tasks.contract.ports import Store
from foundry_tasks.ledger.chain import EvidenceLog, Ledger
from foundry_tasks.ledger.evidence import EvidenceState, Look
from foundry_tasks.ledger.links import signature
from foundry_tasks.ledger.promotion import VERDICTS, version_name
from foundry_tasks.ledger.records import LedgerState, market_and_horizon


def on_version(store: Store, model: str, version: int) -> list[str]:
    """Verdict, look and champion that an approval of a version is about, one line each.

    Raises ConfigError if a chain does not verify.
    """
    state = Ledger(store).state(model)
    record = state.last(version, *VERDICTS)
    if record is None:
        return [f"{model}: the ledger has no verdict on version {version}."]
    look = look_of(state, model, version, EvidenceLog(store).state())
    return [f"{model} version {version}: {record.event}. {record.why}.", _look_line(look), _champion(state, model)]


def on_rollback(store: Store, model: str, version: int | None) -> list[str]:
    """The champion that a rollback replaces, and the version that returns, one line each. Errors as in `on_version`."""
    state = Ledger(store).state(model)
    target = state.previous_champion if version is None else version
    return [_champion(state, model), f"Champion after the rollback: {version_name(target)}."]


def on_policy(store: Store, market: str, changes: Conf) -> list[str]:
    """Old and new value of each key, when the new one counts, and the number of looks, one line each.

    Raises ConfigError for an unknown key, an impossible value, and a chain that does not verify.
    """
    state = EvidenceLog(store).state()
    before, until = state.pending_policy(market), state.looked_until(market)
    lines = [_change(key, value, before, until) for key, value in checked_changes(changes).items()]
    looks = [look for look in state.looks if look.market == market]
    tested = sum(len(look.forecasts) for look in looks)
    forecasts = "1 forecast was" if tested == 1 else f"{tested} forecasts were"
    return [*lines, f"{forecasts} tested on market {market}" + (f", until {until}." if until else ".")]


def look_of(state: LedgerState, model: str, version: int, evidence: EvidenceState) -> Look | None:
    """The look at a version's forecast; None if a release without looks judged it."""
    return evidence.look_at(market_and_horizon(model)[1], state.versions[version].digests.forecast)


def _look_line(look: Look | None) -> str:
    if look is None:
        return "No look at its forecast is recorded: a release without looks judged it."
    tested = f"Look {look.number} at its data, {look.sessions[0]} to {look.sessions[-1]}"
    return f"{tested}. It needs a person: {look.because}." if look.because else f"{tested}: it can promote by itself."


def _champion(state: LedgerState, model: str) -> str:
    moved = next((record for record in reversed(state.records) if record.moves_champion), None)
    if moved is None:
        return f"{model} has no champion."
    who = signature(moved.who, authenticated=moved.authenticated) if state.by_a_person(moved) else moved.who
    return f"Champion now: version {moved.to_version}, by {who}, {moved.when:%Y-%m-%d}: {moved.why}."


def _change(key: str, value: JsonValue, before: Policy, until: date | None) -> str:
    old = before[key]
    said = f"{key}: {json.dumps(old)} → {json.dumps(value)}"
    if old == value:
        return f"{said}, no change."
    if until is None or not looser(key, value, old):
        return f"{said}, counts at once."
    return (
        f"{said}, looser or another value: counts for runs that test {before['promotion_window_sessions']} sessions "
        f"after {until}."
    )
