"""promote: registers every horizon's bundle with its evidence, appends to the ledger, and moves the aliases.

The ledger is authoritative: records of a promote that was killed are found there and not repeated. `ledger/promotion.py`
decides on the records.
"""

from foundry_tasks.contract.config import PricesConfig, PromoteConfig
from foundry_tasks.contract.documents import Gates, Promotion, Promotions
from foundry_tasks.contract.errors import NothingToDo
from foundry_tasks.contract.ports import ModelVersion
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.ledger.candidate import Candidate, candidate_of, lost_versions, registration
from foundry_tasks.ledger.chain import EvidenceLog, Ledger, check_store, project
from foundry_tasks.ledger.evidence import EvidenceState
from foundry_tasks.ledger.promotion import Case, LookAt, look_at, registers, verdict_on
from foundry_tasks.ledger.records import Digests, LedgerState


def run(config: PromoteConfig, io: StageIO) -> None:
    """gates.json, refit.json and bundles → versions, records, aliases; publishes promotion.json.

    Raises NothingToDo after `validate_only`.
    """
    gates = io.read(Gates)
    if not registers(gates):
        raise NothingToDo("validate_only: the run stops after the gates, nothing is registered.")
    check_store(io.store)
    promotions = {}
    market = PricesConfig.model_validate(io.inputs.result("prices").config).market
    with io.step("looks"):
        evidence, _ = EvidenceLog(io.store).agreed(io.environment.registry)
    for horizon in gates.horizons:
        candidate = candidate_of(io.inputs, market, horizon)
        look = _look_at(candidate, gates.policy_digest, market, evidence, io)
        promotion = promotions[horizon] = _promote(candidate, look, gates.policy_digest, config, io)
        shown = {"model", "event", "version", "champion_after", "record"}
        io.outputs.metrics[f"{horizon}d"] = promotion.model_dump(mode="json", include=shown)
    io.publish(Promotions(horizons=promotions))


def _look_at(candidate: Candidate, policy: str, market: str, evidence: EvidenceState, io: StageIO) -> LookAt:
    """The look at the candidate's forecast, by the policy that the market has now.

    policy: digest of the market's policy at the judgement.
    """
    return look_at(
        evidence, candidate.horizon, candidate.gates.forecast, market=market, policy=policy,
        refit=io.inputs.result("refit").config,
    )  # fmt: skip


def _promote(candidate: Candidate, look: LookAt, policy: str, config: PromoteConfig, io: StageIO) -> Promotion:
    """Register, append, project. Each of the three can be repeated without a second effect."""
    ledger, model, digests = Ledger(io.store), candidate.model, _digests(io, candidate.gates.forecast, policy)
    with io.step("project"):
        project(ledger, io.environment.registry, model)
    with io.step("register"):
        version = _register(candidate, ledger.state(model), digests, io)
    case = Case(
        model=model,
        version=version.version,
        sha256=candidate.sha256,
        gates=candidate.gates,
        refit=candidate.refit,
        digests=digests,
        look=look,
        reason=config.reason,
    )
    with io.step("ledger"):
        ledger.append(model, lambda state: case.registration(state, io.environment.now()))
        ledger.append(model, lambda state: case.verdict(state, io.environment.now()))
    with io.step("project"):
        project(ledger, io.environment.registry, model)
    return _outcome(ledger.state(model), version, candidate, io)


def _register(candidate: Candidate, state: LedgerState, digests: Digests, io: StageIO) -> ModelVersion:
    """The candidate's version: new, found, or registered again if MLflow lost it after an earlier promote."""
    present = (version.version for version in io.environment.registry.versions(candidate.model))
    lost = lost_versions(candidate, state, present, digests.run)
    if lost.others:
        io.warn(
            f"{candidate.horizon}d: MLflow lacks versions that the ledger knows ({', '.join(map(str, lost.others))}). "
            "Run `foundry ledger repair`"
        )
    return io.environment.registry.register(
        registration(candidate, digests, io.inputs, version=lost.again, taken=state.bundles)
    )


def _outcome(state: LedgerState, version: ModelVersion, candidate: Candidate, io: StageIO) -> Promotion:
    """The promotion of one horizon, for promotion.json."""
    record = verdict_on(state, candidate.model, version.version)
    if record.event == "refused":
        io.warn(f"{candidate.horizon}d: version {version.version} registered without an alias: {record.why}")
    if record.event == "challenger":
        io.warn(f"{candidate.horizon}d: version {version.version} waits for a person: {record.why}")
    if record.event == "promoted" and state.champion != version.version:
        io.warn(
            f"{candidate.horizon}d: version {version.version} was promoted by record {record.sequence} and has been "
            f"replaced by version {state.champion} since; it stays so"
        )
    return Promotion(
        model=candidate.model,
        version=version.version,
        event=record.event,
        why=record.why,
        champion_before=record.from_version,
        champion_after=state.champion,
        sha256=candidate.sha256,
        record=record.sequence,
        uri=f"models:/{candidate.model}/{version.registry_number}",
        url=io.environment.registry.locate(version),
    )


def _digests(io: StageIO, forecast: str, policy: str) -> Digests:
    return Digests(
        forecast=forecast,
        policy=policy,
        data=io.inputs.result("prices").outputs_digest,
        features=io.inputs.result("features").outputs_digest,
        labels=io.inputs.result("labels").outputs_digest,
        code_version=io.environment.code.version,
        image_digest=io.environment.code.image_digest,
        run=f"{io.identity.dag}/{io.identity.run_id}",
    )
