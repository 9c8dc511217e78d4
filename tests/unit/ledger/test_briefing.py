"""What a person is told before a decision, and how a record says whether Airflow knew the person."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import canonical_json, ledger_key
from foundry_tasks.contract.documents import Decision
from foundry_tasks.ledger import briefing, decisions
from foundry_tasks.ledger.chain import EvidenceLog, Ledger
from foundry_tasks.ledger.evidence import EvidenceState, PolicyChange, change_record
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.ledger.records import Entry, LedgerState, prove, seal
from tests.looked_at import NOON, add_look, add_policy, add_version

MODEL = "foundry-us-5d"


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


def test_the_first_look_is_said_to_promote_by_itself(store):
    add_look(store, "a")
    add_version(store, 1, "challenger", forecast="a", why="a near miss of auc")
    assert briefing.on_version(store, MODEL, 1) == [
        "foundry-us-5d version 1: challenger. a near miss of auc.",
        "Look 1 at its data, 2026-01-01 to 2026-01-20: it can promote by itself.",
        "foundry-us-5d has no champion.",
    ]


def test_a_version_of_a_release_without_looks_is_said_to_have_none(store):
    add_version(store, 1, "challenger")
    assert "a release without looks judged it" in briefing.on_version(store, MODEL, 1)[1]


def test_a_champion_is_named_with_who_made_it_and_whether_airflow_knew_them(store):
    add_version(store, 1, "promoted")
    assert briefing.on_rollback(store, MODEL, None)[0] == (
        "Champion now: version 1, by run foundry_train/run, 2026-11-20: so."
    )
    add_version(store, 2, "challenger", "promoted")
    assert briefing.on_rollback(store, MODEL, None) == [
        "Champion now: version 2, by ann (person not authenticated), 2026-11-20: so.",
        "Champion after the rollback: version 1.",
    ]
    add_version(store, 3, "challenger", "promoted", authenticated=True)
    assert "by ann, 2026" in briefing.on_rollback(store, MODEL, None)[0]


def test_a_policy_without_looks_changes_at_once_and_the_same_value_is_no_change(store):
    assert briefing.on_policy(store, "us", {"min_auc": "0.5", "folds": "5"}) == [
        "min_auc: 0.52 → 0.5, counts at once.",
        "folds: 5 → 5, no change.",
        "0 forecasts were tested on market us.",
    ]


def test_ledger_show_has_the_look_the_policy_and_whether_the_person_was_authenticated(store):
    add_look(store, "a")
    add_look(store, "b")
    add_version(store, 1, "challenger", "promoted", forecast="b")
    rows = decisions.show(store)
    assert [row["look"] for row in rows] == [2, 2, 2]
    assert [row["authenticated"] for row in rows] == ["", "", "no"]
    assert [row["policy"] for row in rows] == ["", "", ""], "these records have no policy"


@given(authenticated=st.booleans(), text=st.text(min_size=1))
def test_a_record_without_a_login_has_the_bytes_of_an_earlier_version(authenticated, text):
    signed = SignOff(text, text, NOON, authenticated)
    change = change_record("us", {"min_auc": 0.53}, signed, EvidenceState())
    entry = Entry(
        event="registered", version=1, sha256="0" * 64, who=text, why=text, when=NOON, authenticated=authenticated
    )
    record = seal(MODEL, entry, LedgerState())
    for link in (change, record):
        assert ("authenticated" in json.loads(link.document())) is authenticated
        assert link.hash == link.true_hash()
    state, findings = prove(MODEL, [(ledger_key(MODEL, 1), record.document())])
    assert (state.records, findings) == ((record,), ())


def test_who_says_later_that_a_person_was_authenticated_breaks_the_chain(store):
    add_policy(store, {"min_auc": 0.53})
    record = EvidenceLog(store).state().records[0]
    assert isinstance(record, PolicyChange)
    store.write(ledger_key("evidence", 1), canonical_json({**json.loads(record.document()), "authenticated": True}))
    assert any("altered" in finding for finding in EvidenceLog(store).prove()[1])


def test_only_a_rollback_and_an_approved_challenger_are_a_persons_decision(store):
    add_version(store, 1, "promoted")
    add_version(store, 2, "challenger", "promoted")
    add_version(store, 3, "refused")
    add_version(store, 1, "rolled_back")
    state = Ledger(store).state(MODEL)
    persons = [(record.version, record.event) for record in state.records if state.by_a_person(record)]
    assert persons == [(2, "promoted"), (1, "rolled_back")]


def test_a_decision_of_an_earlier_version_is_read():
    old = {
        "model": MODEL, "event": "promoted", "version": 3, "champion_before": None, "champion_after": 3, "who": "ann",
        "why": "so", "record": 4, "hash": "0" * 64,
    }  # fmt: skip
    read = Decision.model_validate(old)
    assert (read.version, read.market, read.changes, read.authenticated) == (3, "", {}, False)
