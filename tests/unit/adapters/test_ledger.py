"""The ledger: append-only, one winner per race, and every kind of tampering is named."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import canonical_json, digest_of, ledger_key
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.ledger.chain import Ledger, check_store
from foundry_tasks.ledger.links import GENESIS, contradicts
from foundry_tasks.ledger.records import Digests, Entry, GateValue, model_name

MODEL = model_name("us", 5)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def entry(event="registered", version=1, **changes):
    values = {
        "event": event,
        "version": version,
        "sha256": digest_of(version),
        "who": "run foundry_train/manual__1",
        "when": NOON,
        "why": "because",
        "gates": {"auc": GateValue(value=0.53, threshold="≥ 0.52", verdict="passed")},
        "digests": Digests(data="d" * 64, run="foundry_train/manual__1"),
    }
    return Entry(**(values | changes))


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "store")


@pytest.fixture
def ledger(store):
    """Two promoted versions and a refused one, seven records."""
    ledger = Ledger(store)
    for event, version in [
        ("registered", 1),
        ("promoted", 1),
        ("registered", 2),
        ("refused", 2),
        ("registered", 3),
        ("promoted", 3),
        ("rolled_back", 1),
    ]:
        ledger.append(MODEL, lambda _, event=event, version=version: entry(event, version))
    return ledger


def content(store, sequence):
    return json.loads(store.read(ledger_key(MODEL, sequence)))


def put(store, sequence, document, *, resealed=False):
    if resealed:
        document["hash"] = digest_of({key: value for key, value in document.items() if key != "hash"})
    store.write(ledger_key(MODEL, sequence), canonical_json(document))


def remove(store, sequence):
    (store.root / ledger_key(MODEL, sequence)).unlink()


# ------------------------------------------------------------------ what follows from the records
def test_an_honest_chain_has_no_finding(ledger):
    assert ledger.prove(MODEL)[1] == ()


def test_each_record_holds_the_hash_of_the_one_before(ledger):
    records = ledger.state(MODEL).records
    assert [record.previous for record in records] == [GENESIS, *(record.hash for record in records[:-1])]
    assert [record.sequence for record in records] == list(range(1, 8))


def test_the_champion_follows_from_the_records(ledger):
    state = ledger.state(MODEL)
    assert (state.champion, state.previous_champion) == (1, None)
    assert [(r.from_version, r.to_version) for r in state.records if r.moves_champion] == [(None, 1), (1, 3), (3, 1)]


def test_a_newer_promotion_takes_the_challenger_away(store):
    ledger = Ledger(store)
    for event, version in [("registered", 1), ("challenger", 1), ("registered", 2)]:
        ledger.append(MODEL, lambda _, event=event, version=version: entry(event, version))
    assert ledger.state(MODEL).challenger == 1
    ledger.append(MODEL, lambda _: entry("promoted", 2))
    assert (ledger.state(MODEL).challenger, ledger.state(MODEL).champion) == (None, 2)


def test_rolling_back_twice_goes_back_two_versions_and_not_forth(store):
    ledger = Ledger(store)
    for version in (1, 2, 3):
        ledger.append(MODEL, lambda _, version=version: entry("registered", version))
        ledger.append(MODEL, lambda _, version=version: entry("promoted", version))
    ledger.append(MODEL, lambda state: entry("rolled_back", state.previous_champion))
    ledger.append(MODEL, lambda state: entry("rolled_back", state.previous_champion))
    assert (ledger.state(MODEL).champion, ledger.state(MODEL).previous_champion) == (1, None)


def test_a_record_without_who_or_why_is_refused():
    for name in ("who", "why"):
        with pytest.raises(ValueError, match=name):
            entry(**{name: ""})


def test_a_moment_in_another_time_zone_is_kept_in_utc():
    moment = datetime.fromisoformat("2026-11-20T07:00:00-05:00")
    assert entry(when=moment).when.isoformat() == "2026-11-20T12:00:00+00:00"


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="timezone"):
        entry(when=datetime(2026, 11, 20))  # noqa: DTZ001 - the fault under test


# ------------------------------------------------------------------ races
def test_every_writer_of_a_race_gets_a_record_of_its_own(store):
    def one(version):
        return Ledger(store).append(MODEL, lambda _: entry(version=version)).sequence

    with ThreadPoolExecutor(8) as pool:
        sequences = list(pool.map(one, range(1, 41)))
    assert sorted(sequences) == list(range(1, 41))
    assert Ledger(store).prove(MODEL)[1] == ()


def test_the_loser_of_a_race_decides_again_on_what_the_winner_wrote(store):
    seen = []

    def decide(state):
        seen.append(state.champion)
        if len(seen) == 1:
            Ledger(store).append(MODEL, lambda _: entry("registered", 1))
            Ledger(store).append(MODEL, lambda _: entry("promoted", 1))
        return entry("registered", 2)

    record = Ledger(store).append(MODEL, decide)
    assert (seen, record.sequence) == ([None, 1], 3)


def test_nothing_is_appended_where_there_is_nothing_to_say(ledger, store):
    assert ledger.append(MODEL, lambda _: None) is None
    assert len(list(store.keys("ledger/"))) == 7


# ------------------------------------------------------------------ tampering
def alter_why(store):
    put(store, 4, content(store, 4) | {"why": "it was fine"})


def alter_and_reseal(store):
    put(store, 4, content(store, 4) | {"why": "it was fine"}, resealed=True)


def rewrite_the_json(store):
    store.write(ledger_key(MODEL, 4), json.dumps(content(store, 4), indent=1).encode())


def take_one_out(store):
    remove(store, 4)


def take_the_first_out(store):
    remove(store, 1)


def take_two_out(store):
    remove(store, 3)
    remove(store, 4)


def swap_two(store):
    third, fourth = content(store, 3), content(store, 4)
    put(store, 3, fourth)
    put(store, 4, third)


def repeat_one(store):
    put(store, 8, content(store, 7))


def empty_one(store):
    store.write(ledger_key(MODEL, 5), b"")


def cut_one_short(store):
    store.write(ledger_key(MODEL, 5), store.read(ledger_key(MODEL, 5))[:-20])


def add_a_key(store):
    put(store, 5, content(store, 5) | {"approved": True})


def put_another_models_record(store):
    put(store, 5, content(store, 5) | {"model": "foundry-us-1d"}, resealed=True)


def put_a_stranger(store):
    store.write(f"ledger/{MODEL}/notes.txt", b"hello")


def promote_what_was_refused(store):
    last = content(store, 7)
    forged = last | {"event": "promoted", "version": 2, "sha256": digest_of(2), "to_version": 2}
    put(store, 7, forged, resealed=True)


def promote_another_bundle(store):
    put(store, 6, content(store, 6) | {"sha256": "a" * 64}, resealed=True)


def promote_what_was_never_registered(store):
    put(store, 7, content(store, 7) | {"event": "promoted", "version": 9, "to_version": 9}, resealed=True)


def say_another_champion_was_before(store):
    put(store, 7, content(store, 7) | {"from_version": 1}, resealed=True)


@pytest.mark.parametrize(
    ("tamper", "finding"),
    [
        (alter_why, "00000004.json: altered: its content does not have the hash that it holds"),
        (alter_and_reseal, "00000005.json: broken chain: it does not follow from record 4"),
        (rewrite_the_json, "00000004.json: altered: not the bytes that were written"),
        (take_one_out, "record 4 is missing"),
        (take_the_first_out, "record 1 is missing"),
        (take_two_out, "records 3 to 4 are missing"),
        (swap_two, "00000003.json: reordered: the record says that it is number 4"),
        (repeat_one, "00000008.json: reordered: the record says that it is number 7"),
        (empty_one, "00000005.json: cannot be read"),
        (cut_one_short, "00000005.json: cannot be read"),
        (add_a_key, "00000005.json: cannot be read"),
        (put_another_models_record, "00000005.json: forged: the record belongs to foundry-us-1d"),
        (put_a_stranger, "notes.txt: no ledger record has such a name"),
        (promote_what_was_refused, "forged: version 2 is promoted although its gates said refused"),
        (promote_another_bundle, "forged: version 3 had another bundle"),
        (promote_what_was_never_registered, "forged: version 9 is promoted but was never registered"),
        (say_another_champion_was_before, "forged: it says that champion was 1, but it was 3"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_tampering_is_found_and_said_in_one_line(ledger, store, tamper, finding):
    tamper(store)
    findings = ledger.prove(MODEL)[1]
    assert any(finding in line for line in findings), findings
    assert all("\n" not in line for line in findings)


def test_nothing_is_read_from_or_appended_to_a_broken_chain(ledger, store):
    alter_why(store)
    for use in (ledger.state, lambda model: ledger.append(model, lambda _: entry())):
        with pytest.raises(ConfigError, match=r"does not verify: .*altered.*foundry ledger verify"):
            use(MODEL)


def test_a_chain_cut_short_or_rewritten_contradicts_what_was_seen_of_it(ledger, store):
    witness = ledger.state(MODEL).head
    assert contradicts(ledger.state(MODEL).records, witness) is None
    ledger.append(MODEL, lambda _: entry("registered", 8))
    assert contradicts(ledger.state(MODEL).records, witness) is None
    remove(store, 8)
    put(store, 7, content(store, 7) | {"why": "rewritten at the end"}, resealed=True)
    assert "rewritten: record 7" in contradicts(ledger.state(MODEL).records, witness)
    remove(store, 7)
    assert "cut short" in contradicts(ledger.state(MODEL).records, witness)


# ------------------------------------------------------------------ stores
class ServerWhereAllWin(LocalStore):
    """A server that ignores the condition of puts, like SeaweedFS 4.16."""

    def create(self, key, data):
        self.write(key, data)
        return True


def test_a_store_where_one_writer_wins_is_accepted_and_asked_once(store):
    check_store(store)
    objects = list(store.keys("checks/"))
    check_store(store)
    assert list(store.keys("checks/")) == objects


def test_a_store_where_several_writers_win_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="8 of 8 writers won"):
        check_store(ServerWhereAllWin(tmp_path))


def test_a_store_that_was_copied_elsewhere_is_checked_again(store, tmp_path):
    check_store(store)
    other = ServerWhereAllWin(tmp_path / "other")
    other.write("checks/create-once", store.read("checks/create-once"))
    with pytest.raises(ConfigError, match="writers won"):
        check_store(other)
