"""Which verdict moves a champion: every verdict in every situation, and what a person may decide."""

from datetime import UTC, datetime

import pytest

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.documents import Gate, Gates, HorizonGates, Refit
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.ledger import promotion
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.ledger.promotion import Case, LookAt, ruling
from foundry_tasks.ledger.records import Digests, Entry, LedgerState, seal, state_of
from tests.promotion_world import DIAGNOSTICS, NULL

MODEL = "foundry-us-5d"
ALONE = LookAt()
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANN = SignOff("ann", "as we agreed", NOON)
DIGESTS = Digests(data="d" * 64, run="foundry_train/manual__1")
ANSWER = {"passed": "passed", "challenger": "near miss", "refused": "failed", "skipped": "skipped"}


def gates(verdict, champion=None):
    auc = Gate(name="auc", question="", value=0.51, threshold="≥ 0.52", verdict=ANSWER[verdict])
    return HorizonGates(
        horizon=5, verdict=verdict, gates=(auc,), null=NULL, diagnostics=DIAGNOSTICS, champion_version=champion
    )


REFITS = {
    "accepted": Refit(horizon=5, kind="refit", accepted=True),
    "not accepted": Refit(horizon=5, kind="refit", accepted=False, reason="rank correlation 0.31 below 0.80"),
    "last fold": Refit(horizon=5, kind="last_fold", accepted=True),
}


def sha256(version):
    return f"{version:064x}"


def case(version, verdict="passed", *, refit="accepted", compared_with=None, look=ALONE, forecast="", reason=""):
    digests = DIGESTS.model_copy(update={"forecast": forecast})
    return Case(MODEL, version, sha256(version), gates(verdict, compared_with), REFITS[refit], digests, look, reason)


def appended(state, entry):
    return state if entry is None else state_of([*state.records, seal(MODEL, entry, state)])


def promote(state, one):
    """What a promote appends, as the stage does it."""
    state = appended(state, one.registration(state, NOON))
    return appended(state, one.verdict(state, NOON))


def ledger(*verdicts):
    """Versions 1, 2, … in that order, each compared with the champion of its time."""
    state = LedgerState()
    for version, verdict in enumerate(verdicts, 1):
        state = promote(state, case(version, verdict, compared_with=state.champion))
    return state


def events(state):
    return [(record.event, record.version) for record in state.records]


# ------------------------------------------------------------------ what a promote appends
TABLE = [
    # the gates say, the refit, record, its reason
    ("passed", "accepted", "promoted", "every gate passed"),
    ("passed", "not accepted", "refused", "refit refused: rank correlation 0.31 below 0.80"),
    ("passed", "last fold", "refused", "refit refused: last_fold"),
    ("challenger", "accepted", "challenger", "a near miss of auc: a human may approve it"),
    ("challenger", "not accepted", "refused", "refit refused: rank correlation 0.31 below 0.80"),
    ("challenger", "last fold", "refused", "refit refused: last_fold"),
    ("refused", "accepted", "refused", "gates refused: auc"),
    ("refused", "not accepted", "refused", "gates refused: auc"),
    ("refused", "last fold", "refused", "gates refused: auc"),
    ("skipped", "accepted", "skipped", "gates skipped on request"),
    ("skipped", "not accepted", "skipped", "gates skipped on request"),
    ("skipped", "last fold", "skipped", "gates skipped on request"),
]


@pytest.mark.parametrize("before", [(), ("passed",), ("passed", "passed")], ids=["no champion", "one", "two"])
@pytest.mark.parametrize(("verdict", "refit", "event", "why"), TABLE)
def test_a_version_that_was_compared_with_the_champion_gets_its_verdict(verdict, refit, event, why, before):
    state = ledger(*before)
    new = len(before) + 1
    after = promote(state, case(new, verdict, refit=refit, compared_with=state.champion))
    assert events(after)[len(state.records) :] == [("registered", new), (event, new)]
    assert after.records[-1].why == why
    assert after.champion == (new if event == "promoted" else state.champion)
    assert after.challenger == (new if event == "challenger" else None)


@pytest.mark.parametrize(("compared_with", "champion"), [(None, 1), (1, None), (1, 2)])
@pytest.mark.parametrize(("verdict", "refit", "event", "why"), TABLE)
def test_a_version_that_was_compared_with_another_champion_moves_none(
    verdict, refit, event, why, compared_with, champion
):
    ruled = ruling(gates(verdict, compared_with), REFITS[refit], champion, LookAt())
    if event in {"promoted", "challenger"}:
        event = "refused"
        why = (
            f"judged against champion {compared_with or 'none'}, but champion is now {champion or 'none'}; "
            "run the gates again"
        )
    assert (ruled.event, ruled.why) == (event, why)


def test_a_refusal_without_a_gate_that_refuses_points_to_the_report():
    nameless = gates("passed").model_copy(update={"verdict": "refused"})
    assert ruling(nameless, REFITS["accepted"], None, LookAt()).why == "gates refused: see the gate report"


SECOND = LookAt(2, because="1 forecast was tested on these sessions before")
UNCOUNTED = LookAt(uncounted="the market's policy has changed since the gates judged it")


@pytest.mark.parametrize(
    ("verdict", "look", "event", "why"),
    [
        ("passed", SECOND, "challenger", f"every gate passed, but {SECOND.because}: a human may approve it"),
        ("challenger", SECOND, "challenger", "a near miss of auc: a human may approve it"),
        ("refused", SECOND, "refused", "gates refused: auc"),
        ("skipped", SECOND, "skipped", "gates skipped on request"),
        ("passed", UNCOUNTED, "refused", f"{UNCOUNTED.uncounted}; run the gates again"),
        ("challenger", UNCOUNTED, "refused", f"{UNCOUNTED.uncounted}; run the gates again"),
    ],
)
def test_only_a_look_that_stands_alone_promotes_by_itself(verdict, look, event, why):
    ruled = ruling(gates(verdict), REFITS["accepted"], None, look)
    assert (ruled.event, ruled.why) == (event, why)


FAVOUR = ("refused", "challenger", "passed")


@pytest.mark.parametrize("now", FAVOUR)
@pytest.mark.parametrize("before", FAVOUR)
def test_a_verdict_on_a_forecast_never_gets_more_favourable_by_itself(before, now):
    first = promote(LedgerState(), case(1, before, forecast="f" * 64))
    state = promote(first, case(2, now, compared_with=first.champion, forecast="f" * 64))
    least = min(before, now, key=FAVOUR.index)
    expected = "challenger" if FAVOUR.index(now) > FAVOUR.index(before) else {"passed": "promoted"}.get(least, least)
    assert state.last(2, *promotion.VERDICTS).event == expected


def test_a_person_may_promote_a_forecast_that_was_refused_before():
    state = promote(promote(LedgerState(), case(1, "refused", forecast="f" * 64)), case(2, forecast="f" * 64))
    assert "was refused, and a verdict stays" in state.records[-1].why
    assert promotion.approval(state, MODEL, 2, ANN).event == "promoted"


def test_an_earlier_records_hash_does_not_change_with_the_new_digests():
    entry = Entry(event="registered", version=1, sha256=sha256(1), who="run", when=NOON, why="trained", digests=DIGESTS)
    record = seal(MODEL, entry, LedgerState())
    assert b"forecast" not in record.document()
    assert b'"policy"' not in record.document()


@pytest.mark.parametrize("validate_only", [True, False])
def test_a_run_that_only_validates_registers_nothing(validate_only):
    judged = Gates(validate_only=validate_only, policy=GatePolicy(), horizons={5: gates("passed")})
    assert promotion.registers(judged) is not validate_only


def test_a_promote_that_is_repeated_appends_nothing():
    once = promote(LedgerState(), case(1))
    assert promote(once, case(1)) == once


def test_a_promote_that_was_killed_after_the_registration_appends_the_verdict():
    half = appended(LedgerState(), case(1).registration(LedgerState(), NOON))
    assert events(promote(half, case(1))) == [("registered", 1), ("promoted", 1)]


def test_a_verdict_stays_though_the_champion_moved_since():
    state = promote(promote(LedgerState(), case(1)), case(2, compared_with=1))
    assert promote(state, case(1)) == state
    assert promotion.verdict_on(state, MODEL, 1).event == "promoted"


def test_a_version_with_another_bundle_is_refused():
    state = ledger("passed")
    other = Case(MODEL, 1, sha256(9), gates("passed"), REFITS["accepted"], DIGESTS)
    with pytest.raises(ConfigError, match="knows version 1 of foundry-us-5d with another bundle"):
        other.registration(state, NOON)


def test_a_record_says_whose_run_it_was_and_why_and_holds_the_gates():
    state = promote(LedgerState(), case(1, "challenger", reason="quarterly refresh"))
    registered, judged = state.records
    assert registered.why == "trained and judged: quarterly refresh"
    assert judged.why == "a near miss of auc: a human may approve it: quarterly refresh"
    assert (judged.who, judged.when, judged.digests) == ("run foundry_train/manual__1", NOON, DIGESTS)
    assert judged.gates["auc"].model_dump() == {"value": 0.51, "threshold": "≥ 0.52", "verdict": "near miss"}


def test_a_version_without_a_verdict_has_no_outcome():
    half = appended(LedgerState(), case(1).registration(LedgerState(), NOON))
    with pytest.raises(ConfigError, match=r"has no verdict on version 1. Repeat the run"):
        promotion.verdict_on(half, MODEL, 1)


# ------------------------------------------------------------------ what a person decides
APPROVALS = [
    # the versions before, of which one is approved → a reason against it, or None
    (("challenger",), 1, None),
    (("passed", "challenger"), 2, None),
    (("passed", "challenger", "refused"), 2, None),
    (("refused",), 1, "its gates, or what followed them, refused it"),
    (("skipped",), 1, "its gates were skipped"),
    (("passed", "passed"), 1, "it has been champion, roll back to it instead"),
    (("passed",), 7, "it was never registered"),
    (("passed", "challenger", "passed"), 2, "judged against version 1, but champion is now version 3. Run the gates"),
    (("challenger", "passed"), 1, "judged against none, but champion is now version 2. Run the gates"),
]


@pytest.mark.parametrize(("verdicts", "version", "against"), APPROVALS)
def test_a_person_approves_what_was_left_to_a_person(verdicts, version, against):
    state = ledger(*verdicts)
    if against:
        with pytest.raises(ConfigError, match=against):
            promotion.approval(state, MODEL, version, ANN)
        return
    after = appended(state, promotion.approval(state, MODEL, version, ANN))
    assert (after.records[-1].event, after.champion, after.challenger) == ("promoted", version, None)
    assert (after.records[-1].who, after.records[-1].why) == ("ann", "as we agreed")
    assert promotion.approval(after, MODEL, version, ANN) is None


def test_a_version_without_a_verdict_cannot_be_approved():
    half = appended(LedgerState(), case(1).registration(LedgerState(), NOON))
    with pytest.raises(ConfigError, match="it has no verdict yet, repeat its promote"):
        promotion.approval(half, MODEL, 1, ANN)


RETURNS = [
    # the versions before, to, from → the champion afterwards, or a reason against it
    (("passed", "passed"), None, None, 1),
    (("passed", "passed"), 1, None, 1),
    (("passed", "passed"), None, 2, 1),
    (("passed", "passed", "passed"), 1, None, 1),
    (("passed", "refused", "passed"), None, None, 1),
    (("passed",), None, None, "has no earlier champion to go back to"),
    ((), None, None, "has no earlier champion to go back to"),
    (("passed",), 1, None, "version 1 is champion already"),
    (("passed", "passed"), None, 1, "champion is version 2, not version 1"),
    (("passed", "refused"), 2, None, "refused it. Earlier champions: 1"),
    (("passed", "skipped"), 2, None, "its gates were skipped. Earlier champions: 1"),
    (("passed", "challenger"), 2, None, "approve it instead. Earlier champions: 1"),
    (("refused",), 1, None, "Earlier champions: none"),
    (("passed",), 7, None, "version 7: it was never registered"),
]


@pytest.mark.parametrize(("verdicts", "to_version", "from_version", "expected"), RETURNS)
def test_a_rollback_leads_to_a_version_that_was_champion(verdicts, to_version, from_version, expected):
    state = ledger(*verdicts)
    named = {"to_version": to_version, "from_version": from_version}
    if isinstance(expected, str):
        with pytest.raises(ConfigError, match=expected):
            promotion.return_to(state, MODEL, ANN, **named)
        return
    after = appended(state, promotion.return_to(state, MODEL, ANN, **named))
    assert (after.records[-1].event, after.champion) == ("rolled_back", expected)


def test_a_rollback_that_names_its_versions_is_done_once():
    state = ledger("passed", "passed", "passed")
    after = appended(state, promotion.return_to(state, MODEL, ANN, from_version=3))
    assert after.champion == 2
    assert promotion.return_to(after, MODEL, ANN, from_version=3) is None
    assert promotion.return_to(after, MODEL, ANN, to_version=2) is None


def test_an_entry_of_a_person_holds_what_the_version_was_judged_by():
    entry = promotion.approval(ledger("challenger"), MODEL, 1, ANN)
    assert entry == Entry(
        event="promoted", version=1, sha256=sha256(1), who="ann", when=NOON, why="as we agreed",
        gates=promotion.gate_values(gates("challenger")), digests=DIGESTS,
    )  # fmt: skip
