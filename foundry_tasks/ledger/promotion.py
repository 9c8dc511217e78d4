"""Rules of promotion: which record is appended to the ledger. Pure.

The record that `promote` appends after `registered`, for a version without a verdict. Only `promoted` moves the champion.
"compared" is the champion with which the gates compared the version. "alone" is a look that may promote by itself, by the
market's present policy, see `evidence.standing`.

| verdict of the gates | the refit      | champion         | the look  | record       | champion afterwards               |
|----------------------|----------------|------------------|-----------|--------------|-----------------------------------|
| skipped              | any            | any              | any       | `skipped`    | the same                          |
| refused              | any            | any              | any       | `refused`    | the same                          |
| passed or challenger | not accepted   | any              | any       | `refused`    | the same                          |
| passed or challenger | accepted       | not the compared | any       | `refused`    | the same                          |
| passed or challenger | accepted       | the compared     | uncounted | `refused`    | the same                          |
| challenger           | accepted       | the compared     | any       | `challenger` | the same; a person may approve it |
| passed               | accepted       | the compared     | not alone | `challenger` | the same; a person may approve it |
| passed               | accepted       | the compared     | alone     | `promoted`   | the version                       |

The gates' verdict stays: a version with the forecast of an earlier version is never judged more favourably by itself. Where
this table says more, because the champion or a null is another one now, it becomes `challenger`.

The verdict is `skipped` if the conf sets `skip_gates`; with `validate_only` nothing is registered. A person's `approve`
appends `promoted` for a challenger, `rollback` appends `rolled_back` for an earlier champion.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from foundry_tasks.contract.documents import Gates, HorizonGates, Refit
from foundry_tasks.contract.documents.gates import ModelVerdict
from foundry_tasks.contract.documents.promote import Event
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.plain import Conf
from foundry_tasks.contract.policy import deviations, policy_digest
from foundry_tasks.ledger.evidence import EvidenceState
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.ledger.records import Digests, Entry, GateValue, LedgerRecord, LedgerState, VersionFacts

VERDICTS: tuple[Event, ...] = ("promoted", "challenger", "refused", "skipped")
"""Events that `promote` appends for a registered version."""

POSSIBLE: Mapping[ModelVerdict, Sequence[Event]] = {
    "skipped": ("skipped",),
    "refused": ("refused",),
    "challenger": ("challenger", "refused"),
    "passed": ("promoted", "challenger", "refused"),
}
"""Verdict of the gates → the records that can follow."""


# ------------------------------------------------------------------ verdict on a run's version
@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on a version, with its reason."""

    event: Event
    why: str


@dataclass(frozen=True, slots=True)
class LookAt:
    """The look at a version's forecast. number: among the looks at its data.

    because: why it cannot promote by itself, empty if it can. uncounted: why the gates' verdict does not count, empty if it
    does.
    """

    number: int = 1
    because: str = ""
    uncounted: str = ""


def look_at(evidence: EvidenceState, horizon: int, forecast: str, *, market: str, policy: str, refit: Conf) -> LookAt:
    """The look at a forecast, by the policy that the market has now.

    forecast: digest of its P&L. policy: digest of the market's policy at the judgement. refit: the conf of the refit.
    """
    look = evidence.look_at(horizon, forecast)
    if look is None:
        return LookAt(uncounted="the chain of evidence has no look at its forecast")
    now = evidence.policy(market, look.sessions)
    if policy_digest(now) != policy:
        return LookAt(look.number, uncounted="the market's policy has changed since the gates judged it")
    reasons = [look.because] if look.because else []
    if look.market != market:
        reasons.append(f"the look belongs to market {look.market}")
    reasons += deviations([refit], now)
    return LookAt(look.number, "; ".join(reasons))


def registers(gates: Gates) -> bool:
    """Whether the run registers its versions: unless validate_only is set."""
    return not gates.validate_only


def ruling(gates: HorizonGates, refit: Refit, champion: int | None, look: LookAt) -> Ruling:
    """The verdict that follows from gates, refit and look. champion: the current champion's version, None without one."""
    if gates.verdict == "skipped":
        return Ruling("skipped", "gates skipped on request")
    if refusal := _refusal(gates, refit, champion, look):
        return Ruling("refused", refusal)
    if gates.verdict == "challenger":
        near = [gate.name for gate in gates.gates if gate.verdict == "near miss"]
        return Ruling("challenger", f"a near miss of {', '.join(near)}: a human may approve it")
    if look.because:
        return Ruling("challenger", f"every gate passed, but {look.because}: a human may approve it")
    return Ruling("promoted", "every gate passed")


def _refusal(gates: HorizonGates, refit: Refit, champion: int | None, look: LookAt) -> str:
    """Why the version is refused; empty if it is not."""
    if gates.verdict == "refused":
        return f"gates refused: {', '.join(gates.failed) or 'see the gate report'}"
    if not refit.accepted or refit.kind != "refit":
        return f"refit refused: {refit.reason or refit.kind}"
    if gates.champion_version != champion:
        return (
            f"judged against champion {gates.champion_version or 'none'}, but champion is now {champion or 'none'}; "
            "run the gates again"
        )
    return f"{look.uncounted}; run the gates again" if look.uncounted else ""


_FAVOUR: Mapping[Event, int] = {"refused": 0, "challenger": 1, "promoted": 2}


def kept_ruling(ruled: Ruling, forecast: str, earlier: Iterable[VersionFacts]) -> Ruling:
    """The ruling on a forecast, never more favourable than on the same forecast before.

    forecast: digest of its P&L, empty if unknown. earlier: all other versions.
    """
    judged = [known for known in earlier if forecast and known.digests.forecast == forecast]
    verdicts = [known.verdict for known in judged if known.verdict != "refused" or _gates_refused(known)]
    least = min((one for one in verdicts if one in _FAVOUR), key=_FAVOUR.__getitem__, default=ruled.event)
    if _FAVOUR.get(ruled.event, 0) <= _FAVOUR.get(least, 0):
        return ruled
    return Ruling(
        "challenger",
        f"{ruled.why}, but an earlier version with this forecast was {least}, and a verdict stays: a human may approve it",
    )


def _gates_refused(known: VersionFacts) -> bool:
    """Whether gates refused a version, and not the refit or a champion that had moved."""
    return any(gate.verdict in {"failed", "undefined"} for gate in known.gates.values())


def gate_values(gates: HorizonGates) -> Mapping[str, GateValue]:
    """Name of the gate → its result, as in a ledger record."""
    return {
        gate.name: GateValue(value=gate.value, threshold=gate.threshold, verdict=gate.verdict) for gate in gates.gates
    }


@dataclass(frozen=True)
class Case:
    """A version to be registered and judged, with the documents of its run.

    sha256: of its bundle. look: at its forecast. reason: from the conf; it is appended to every `why`.
    """

    model: str
    version: int
    sha256: str
    gates: HorizonGates
    refit: Refit
    digests: Digests
    look: LookAt = LookAt()
    reason: str = ""

    def registration(self, state: LedgerState, when: datetime) -> Entry | None:
        """The first record of the version; None if the ledger has it.

        Raises ConfigError if the ledger has the version with another bundle.
        """
        known = state.versions.get(self.version)
        if known is None:
            return self._entry(Ruling("registered", "trained and judged"), when)
        if known.sha256 != self.sha256:
            raise ConfigError(
                f"the ledger knows version {self.version} of {self.model} with another bundle. "
                "Look at `foundry ledger verify`: registry and ledger do not belong together."
            )
        return None

    def verdict(self, state: LedgerState, when: datetime) -> Entry | None:
        """The record with the verdict on the registered version; None if the ledger has one."""
        if state.versions[self.version].verdict != "registered":
            return None
        ruled = ruling(self.gates, self.refit, state.champion, self.look)
        earlier = (facts for number, facts in state.versions.items() if number != self.version)
        return self._entry(kept_ruling(ruled, self.digests.forecast, earlier), when)

    def _entry(self, ruled: Ruling, when: datetime) -> Entry:
        return Entry(
            event=ruled.event,
            version=self.version,
            sha256=self.sha256,
            who=f"run {self.digests.run}",
            when=when,
            why=f"{ruled.why}: {self.reason}" if self.reason else ruled.why,
            gates=gate_values(self.gates),
            digests=self.digests,
        )


def verdict_on(state: LedgerState, model: str, version: int) -> LedgerRecord:
    """The newest record with a verdict on a version. Raises ConfigError if the ledger has none."""
    record = state.last(version, *VERDICTS)
    if record is None:
        raise ConfigError(f"the ledger of {model} has no verdict on version {version}. Repeat the run.")
    return record


# ------------------------------------------------------------------ a person's decision
def approval(state: LedgerState, model: str, version: int, signed: SignOff) -> Entry | None:
    """The record that makes a challenger champion; None if it is champion already.

    Raises ConfigError if the verdict is not challenger, or if the gates compared it with another champion.
    """
    known = state.versions.get(version)
    if known is not None and known.verdict == "promoted" and state.champion == version:
        return None
    if known is None or known.verdict != "challenger":
        verdict = known.verdict if known else None
        raise ConfigError(f"{model}: version {version} cannot be approved: {_why_not(verdict)}.")
    if known.judged_against != state.champion:
        raise ConfigError(
            f"{model}: version {version} was judged against {version_name(known.judged_against)}, but champion is now "
            f"{version_name(state.champion)}. Run the gates again."
        )
    return _signed(state, version, "promoted", signed)


def return_to(
    state: LedgerState, model: str, signed: SignOff, *, to_version: int | None = None, from_version: int | None = None
) -> Entry | None:
    """The record that makes an earlier champion the champion again; None if that rollback has been recorded.

    to_version: default the previous champion. from_version: the champion to replace. Raises ConfigError if there is no
    earlier champion, or if the version was never champion.
    """
    if from_version is not None and state.champion != from_version:
        if state.records and _is_rollback_from(state, from_version):
            return None
        raise ConfigError(
            f"{model}: champion is {version_name(state.champion)}, not version {from_version}. Look again."
        )
    target = state.previous_champion if to_version is None else to_version
    if target is None:
        raise ConfigError(f"{model} has no earlier champion to go back to (champion: {version_name(state.champion)}).")
    if target == state.champion:
        if state.last(target, "promoted", "rolled_back") == state.last(target, "rolled_back"):
            return None
        raise ConfigError(f"{model}: version {target} is champion already.")
    verdict = state.versions[target].verdict if target in state.versions else None
    if verdict != "promoted":
        raise ConfigError(f"{model}: cannot roll back to version {target}: {_why_not(verdict)}. {_could(state)}")
    return _signed(state, target, "rolled_back", signed)


def version_name(version: int | None) -> str:
    """The version's name in a message: "version 3" or "none"."""
    return "none" if version is None else f"version {version}"


def _signed(state: LedgerState, version: int, event: Event, signed: SignOff) -> Entry:
    known = state.versions[version]
    return Entry(
        event=event,
        version=version,
        sha256=known.sha256,
        who=signed.who,
        authenticated=signed.authenticated,
        when=signed.when,
        why=signed.why,
        gates=known.gates,
        digests=known.digests,
    )


def _is_rollback_from(state: LedgerState, version: int) -> bool:
    last = next((record for record in reversed(state.records) if record.moves_champion), None)
    return last is not None and last.event == "rolled_back" and last.from_version == version


def _why_not(verdict: Event | None) -> str:
    if verdict is None:
        return "it was never registered"
    return {
        "registered": "it has no verdict yet, repeat its promote",
        "challenger": "it has never been champion, approve it instead",
        "refused": "its gates, or what followed them, refused it",
        "skipped": "its gates were skipped",
        "promoted": "it has been champion, roll back to it instead",
        "rolled_back": "it has been champion, roll back to it instead",
    }[verdict]


def _could(state: LedgerState) -> str:
    earlier = [number for number, facts in state.versions.items() if facts.verdict == "promoted"]
    return f"Earlier champions: {', '.join(map(str, earlier)) or 'none'}."
