"""What a report says about the ledger of a market: policy, persons' decisions, first date, faults."""

from collections.abc import Iterable

from foundry_tasks.contract.documents.gates import LookHeadline
from foundry_tasks.contract.documents.report import Oversight, PersonsDecision
from foundry_tasks.contract.policy import policy_digest
from foundry_tasks.contract.ports import Store
from foundry_tasks.ledger.chain import EvidenceLog, Ledger
from foundry_tasks.ledger.evidence import PolicyChange
from foundry_tasks.ledger.records import LedgerState


def oversight_of(
    store: Store, market: str, *, policy: str, look: LookHeadline | None, code_is_a_release: bool
) -> Oversight:
    """The ledger of a market as a report shows it. A broken chain is shown and raises no error.

    policy: digest of the policy that judged the run; empty for the policy that the market has now.
    """
    log, ledger = EvidenceLog(store), Ledger(store)
    evidence, findings = log.prove(thorough=False)
    models = [model for model in ledger.models() if model.startswith(f"foundry-{market}-")]
    proofs = {model: ledger.prove(model) for model in models}
    states = {model: state for model, (state, _) in proofs.items()}
    faults = [*findings, *(fault for _, found in proofs.values() for fault in found)]
    change = evidence.last_change(market)
    moments = [record.when for record in evidence.records if record.market == market]
    moments += [record.when for state in states.values() for record in state.records]
    return Oversight(
        policy=policy or policy_digest(evidence.pending_policy(market)),
        look=look,
        decisions=(*([_changed(change)] if change else []), *_chosen(states.items())),
        ledger_since=min(moments).date().isoformat() if moments else "",
        ledger_fault=faults[0] if faults else "",
        code_is_a_release=code_is_a_release,
    )


def _changed(change: PolicyChange) -> PersonsDecision:
    return PersonsDecision(
        what="policy: " + ", ".join(f"{key}={value}" for key, value in change.changes.items()),
        who=change.who,
        authenticated=change.authenticated,
        when=change.when.date().isoformat(),
        why=change.why,
    )


def _chosen(states: Iterable[tuple[str, LedgerState]]) -> Iterable[PersonsDecision]:
    """The champions that a person chose."""
    for model, state in states:
        moved = next((record for record in reversed(state.records) if record.moves_champion), None)
        if moved is not None and state.by_a_person(moved):
            yield PersonsDecision(
                what=f"{model} version {moved.version} {moved.event.replace('_', ' ')}",
                who=moved.who,
                authenticated=moved.authenticated,
                when=moved.when.date().isoformat(),
                why=moved.why,
            )
