"""People's decisions on models: rollback, approve, show, verify, repair; with a real MLflow and a real store."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from foundry_tasks.adapters.registry_mlflow import MlflowRegistry
from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract.artifacts import canonical_json, digest_of, ledger_key, sha256_of
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import Registration
from foundry_tasks.ledger import decisions as governance
from foundry_tasks.ledger.chain import Ledger, project
from foundry_tasks.ledger.links import SignOff
from foundry_tasks.ledger.records import Digests, Entry, GateValue

pytestmark = [
    pytest.mark.slow(23),
    # of MLflow
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

MODEL = "foundry-us-5d"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANN = SignOff("ann", "as we agreed", NOON)


class House:
    """A store, a registry, and versions with given verdicts."""

    def __init__(self, folder):
        self.folder = folder
        self.store = LocalStore(folder / "store")
        self.registry = MlflowRegistry(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts"))
        self.ledger = Ledger(self.store)

    def add(self, *events, content=None):
        """Register a version with these events. Returns its number."""
        content = content or f"bundle after {len(self.registry.versions(MODEL))}".encode()
        bundle = self.folder / "bundle.zip"
        bundle.write_bytes(content)
        version = self.registry.register(
            Registration(
                model=MODEL,
                bundle=bundle,
                sha256=sha256_of(content),
                horizon=5,
                features=("f",),
                example=[{"date": "2022-12-28", "ticker": "A", "f": 1.0}],
                evidence={"gates": {}},
            )
        )
        for event in ("registered", *events):
            self.say(event, version)
        project(self.ledger, self.registry, MODEL)
        return version.version

    def say(self, event, version):
        self.ledger.append(
            MODEL,
            lambda _: Entry(
                event=event,
                version=version.version,
                sha256=version.sha256,
                who="run foundry_train/manual__1",
                when=NOON,
                why="gates",
                gates={"auc": GateValue(value=0.51, threshold="≥ 0.52", verdict="near miss")},
                digests=Digests(data="d" * 64),
            ),
        )

    def champion(self):
        """The champion by the ledger; asserts that the registry agrees."""
        alias = self.registry.alias(MODEL, "champion")
        assert (alias.version if alias else None) == self.ledger.state(MODEL).champion
        return alias.version if alias else None

    def verify(self):
        return governance.verify(self.store, self.registry)

    def rollback(self, signed=ANN, **versions):
        return governance.rollback(self.store, self.registry, MODEL, signed, **versions)

    def approve(self, version):
        return governance.approve(self.store, self.registry, MODEL, version, ANN)


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("empty")
    MlflowRegistry(f"sqlite:///{folder}/mlflow.db", str(folder)).alias("none", "champion")
    return folder / "mlflow.db"


@pytest.fixture
def house(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return House(tmp_path)


# ------------------------------------------------------------------ rollback
def test_a_rollback_leads_to_the_champion_before_and_says_who_and_why(house):
    first, second = house.add("promoted"), house.add("promoted")
    record = house.rollback()
    assert house.champion() == first
    assert (record.event, record.from_version, record.to_version) == ("rolled_back", second, first)
    assert (record.who, record.why, record.when) == ("ann", "as we agreed", NOON)
    assert house.verify() == []


def test_a_rollback_may_name_any_earlier_champion_also_a_later_one(house):
    first, _, third = house.add("promoted"), house.add("promoted"), house.add("promoted")
    house.rollback(to_version=first)
    assert house.champion() == first
    house.rollback(to_version=third)
    assert house.champion() == third
    assert house.verify() == []


def test_a_rollback_that_is_repeated_goes_back_once(house):
    first, second, third = (house.add("promoted") for _ in range(3))
    one, again = house.rollback(from_version=third), house.rollback(from_version=third)
    assert (one, house.champion()) == (again, second)
    one, again = house.rollback(to_version=first), house.rollback(to_version=first)
    assert (one, house.champion()) == (again, first)


def test_a_rollback_from_a_champion_that_is_none_is_refused(house):
    house.add("promoted")
    house.add("promoted")
    with pytest.raises(ConfigError, match="champion is version 2, not version 1"):
        house.rollback(from_version=1)


def test_there_is_nothing_before_the_first_champion(house):
    house.add("promoted")
    with pytest.raises(ConfigError, match="no earlier champion"):
        house.rollback()


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        (["refused"], "refused it"),
        (["skipped"], "gates were skipped"),
        (["challenger"], "approve it instead"),
        ([], "no verdict yet"),
    ],
)
def test_no_rollback_leads_to_a_version_that_was_never_champion(house, events, reason):
    house.add("promoted")
    never = house.add(*events)
    with pytest.raises(ConfigError, match=rf"cannot roll back to version {never}: .*{reason}.*Earlier champions: 1"):
        house.rollback(to_version=never)
    assert house.champion() == 1


def test_a_version_that_is_not_there_is_named(house):
    house.add("promoted")
    with pytest.raises(ConfigError, match="version 7: it was never registered"):
        house.rollback(to_version=7)


def test_a_rollback_to_a_version_gone_from_the_registry_is_refused_before_anything_is_written(house):
    first = house.add("promoted")
    second = house.add("promoted")
    house.registry._client.delete_model_version(MODEL, str(first))
    with pytest.raises(ConfigError, match=rf"version {first} is gone from the registry\. Run `foundry ledger repair`"):
        house.rollback()
    assert house.champion() == second
    (finding,) = house.verify()
    assert finding.startswith(f"{MODEL}: version {first} is gone from the registry. Run `foundry ledger repair`")


@pytest.mark.parametrize("missing", ["who", "why"])
def test_nothing_moves_without_who_and_why(house, missing):
    house.add("promoted")
    house.add("promoted")
    with pytest.raises(ConfigError, match=f"{missing} must be said"):
        house.rollback(replace(ANN, **{missing: " "}))
    assert house.champion() == 2


# ------------------------------------------------------------------ approval
def test_a_near_miss_becomes_champion_by_a_humans_approval(house):
    house.add("promoted")
    near_miss = house.add("challenger")
    assert house.registry.alias(MODEL, "challenger").version == near_miss
    record = house.approve(near_miss)
    assert house.champion() == near_miss
    assert house.registry.alias(MODEL, "challenger") is None
    assert (record.event, record.who, record.why) == ("promoted", "ann", "as we agreed")
    assert record.gates["auc"].verdict == "near miss"
    assert house.verify() == []


def test_an_approval_that_is_repeated_is_one_record(house):
    near_miss = house.add("challenger")
    assert house.approve(near_miss) == house.approve(near_miss)


@pytest.mark.parametrize(
    ("events", "reason"), [(["refused"], "refused it"), (["skipped"], "gates were skipped"), ([], "no verdict yet")]
)
def test_nobody_can_approve_what_the_gates_did_not_leave_to_a_human(house, events, reason):
    version = house.add(*events)
    with pytest.raises(ConfigError, match=f"version {version} cannot be approved: .*{reason}"):
        house.approve(version)
    assert house.champion() is None


def test_a_former_champion_is_rolled_back_to_and_not_approved(house):
    house.add("promoted")
    house.add("promoted")
    with pytest.raises(ConfigError, match="roll back to it instead"):
        house.approve(1)


def test_a_challenger_judged_against_another_champion_needs_new_gates(house):
    house.add("promoted")
    near_miss = house.add("challenger")
    house.add("promoted")
    with pytest.raises(ConfigError, match=r"judged against version 1, but champion is now version 3. Run the gates"):
        house.approve(near_miss)


# ------------------------------------------------------------------ look, prove, mend
def test_show_has_a_row_a_record(house):
    house.add("promoted")
    house.add("refused")
    rows = governance.show(house.store)
    assert [(row["model"], row["sequence"], row["event"], row["version"]) for row in rows] == [
        (MODEL, 1, "registered", 1),
        (MODEL, 2, "promoted", 1),
        (MODEL, 3, "registered", 2),
        (MODEL, 4, "refused", 2),
    ]
    assert rows[1]["champion"] == "– → 1"


def test_a_model_that_the_ledger_does_not_know_is_named(house):
    house.add()
    with pytest.raises(ConfigError, match=f"no model 'foundry-us-9d'; it has {MODEL}"):
        governance.show(house.store, "foundry-us-9d")


def test_a_kill_between_append_and_alias_is_seen_and_mended(house):
    house.add("promoted")
    version = house.registry.register(_other(house))
    house.say("registered", version)
    house.say("promoted", version)
    assert house.verify() == [f"{MODEL}: champion is version 1, the ledger says version 2. Run `foundry ledger repair`"]
    repaired = governance.repair(house.store, house.registry)
    assert repaired.lines == (
        f"{MODEL}: version 1 is already there",
        f"{MODEL}: version 2 is already there",
        f"{MODEL}: champion was version 1, is version 2",
    )
    assert repaired.whole
    assert house.verify() == []
    assert governance.repair(house.store, house.registry).lines == repaired.lines[:2]


def test_the_next_operation_mends_what_a_kill_left(house):
    house.add("promoted")
    near_miss = house.add("challenger")
    house.registry.set_alias(MODEL, "champion", near_miss)
    house.approve(near_miss)
    assert house.verify() == []


def test_an_alias_moved_by_hand_is_seen_and_put_back(house):
    house.add("promoted")
    refused = house.add("refused")
    house.registry.set_alias(MODEL, "champion", refused)
    assert "champion is version 2, the ledger says version 1" in house.verify()[0]
    governance.repair(house.store, house.registry)
    assert house.champion() == 1


def test_a_version_registered_behind_the_ledgers_back_is_seen(house):
    house.add("promoted")
    house.registry.register(_other(house))
    assert house.verify() == [
        f"{MODEL}: version 2 is in the registry but in no record. Repeat its promote, or delete it"
    ]


def test_a_bundle_changed_on_disk_is_seen(house):
    house.add("promoted")
    house.registry.bundle(house.registry.versions(MODEL)[0]).write_bytes(b"something else")
    (finding,) = house.verify()
    assert finding.startswith(f"{MODEL}: version 1 has a bundle in MLflow that is not the one that was registered")
    assert "cannot be made again" in finding


def test_a_version_whose_tag_names_another_bundle_is_seen(house):
    house.add("promoted")
    house.registry._client.set_model_version_tag(MODEL, "1", "foundry.sha256", "f" * 64)
    (finding,) = house.verify()
    assert finding.startswith(f"{MODEL}: version 1 names another bundle in the registry than in the ledger")
    house.registry._client.delete_model_version(MODEL, "1")
    assert governance.repair(house.store, house.registry).whole
    assert house.verify() == []


def test_a_ledger_whose_end_was_cut_off_is_seen_and_never_projected(house):
    house.add("promoted")
    house.add("promoted")
    (house.store.root / ledger_key(MODEL, 4)).unlink()
    assert any("cut short: the registry has seen record 4" in line for line in house.verify())
    for use in (lambda: governance.repair(house.store, house.registry), house.rollback):
        with pytest.raises(ConfigError, match=r"cut short.*from one backup"):
            use()


def test_a_ledger_whose_end_was_rewritten_with_a_true_hash_is_seen(house):
    house.add("promoted")
    last = house.ledger.state(MODEL).records[-1]
    forged = last.model_dump(mode="json", exclude={"hash"}) | {"who": "nobody"}
    house.store.write(ledger_key(MODEL, 2), canonical_json(forged | {"hash": digest_of(forged)}))
    assert house.ledger.prove(MODEL)[1] == ()
    assert any("rewritten: record 2" in line for line in house.verify())


def _other(house):
    bundle = house.folder / "other.zip"
    bundle.write_bytes(b"other")
    example = [{"date": "2022-12-28", "ticker": "A", "f": 1.0}]
    return Registration(MODEL, bundle, sha256_of(b"other"), 5, ("f",), example, {"gates": {}})
