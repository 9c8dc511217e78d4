"""Retention: what is deleted from a store, and what is always kept."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.ledger.chain import Ledger
from foundry_tasks.ledger.records import Digests, Entry
from foundry_tasks.store import retention

NOW = datetime(2026, 7, 1, tzinfo=UTC)
KEEP = timedelta(days=90)
MODEL = "foundry-us-1d"


class Shelf:
    """A store whose entries have a given age."""

    def __init__(self, folder):
        self.store = LocalStore(folder / "store")
        self.folder = folder

    def aged(self, key, days):
        moment = (NOW - timedelta(days=days)).timestamp()
        os.utime(self.store.root / key, (moment, moment))

    def object(self, text, days=200):
        path = self.folder / "content"
        path.write_text(text)
        sha256 = self.store.put_object(path)
        self.aged(artifacts.object_key(sha256), days)
        return sha256

    def run(self, run_id, days, *texts, dag="foundry_train"):
        """A run with published objects."""
        shas = [self.object(text, days) for text in texts]
        key = artifacts.result_key(dag, run_id, "prices", None)
        self.store.write(key, json.dumps({"outputs": shas}).encode())
        self.store.write(artifacts.page_key(dag, run_id, "report.html"), b"<html>")
        for one in (key, artifacts.page_key(dag, run_id, "report.html")):
            self.aged(one, days)
        return shas

    def record(self, event, version, run_id, sha256):
        entry = Entry(
            event=event, version=version, sha256=sha256, who="a test", when=NOW - timedelta(days=200), why="to see",
            digests=Digests(run=f"foundry_train/{run_id}"),
        )  # fmt: skip
        assert Ledger(self.store).append(MODEL, lambda _: entry)

    def collected(self):
        going = retention.plan(self.store, keep=KEEP, now=NOW)
        retention.collect(self.store, going)
        return set(self.store.keys("runs/")), {key.removeprefix("objects/") for key in self.store.keys("objects/")}


@pytest.fixture
def shelf(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.run("newest", 1, "newest")
    return shelf


def run_of(run_id):
    return artifacts.result_key("foundry_train", run_id, "prices", None)


def test_an_old_run_goes_with_its_pages_and_what_it_alone_named(shelf):
    mine, shared = shelf.run("old", 100, "mine", "newest")
    runs, objects = shelf.collected()
    assert runs == {run_of("newest")}
    assert mine not in objects
    assert shared in objects
    assert not list(shelf.store.keys(artifacts.page_key("foundry_train", "old", "")))


def test_a_young_run_stays_and_so_does_the_newest_of_each_dag_however_old(shelf):
    (young,) = shelf.run("young", 89, "young")
    (daily,) = shelf.run("daily", 300, "daily", dag="foundry_daily")
    runs, objects = shelf.collected()
    assert run_of("young") in runs
    assert artifacts.result_key("foundry_daily", "daily", "prices", None) in runs
    assert {young, daily} <= objects


def test_what_was_promoted_from_stays_whole(shelf):
    (data,) = shelf.run("promoted", 300, "promoted data")
    bundle = shelf.object("a bundle", 300)
    shelf.record("registered", 1, "promoted", bundle)
    shelf.record("promoted", 1, "promoted", bundle)
    runs, objects = shelf.collected()
    assert run_of("promoted") in runs
    assert {data, bundle} <= objects


def test_of_a_refused_run_the_documents_and_the_bundle_stay_and_the_bulk_goes(shelf):
    (data,) = shelf.run("refused", 300, "refused data")
    bundle = shelf.object("a refused bundle", 300)
    shelf.record("registered", 1, "refused", bundle)
    shelf.record("refused", 1, "refused", bundle)
    runs, objects = shelf.collected()
    assert run_of("refused") in runs
    assert bundle in objects
    assert data not in objects


def test_price_heads_and_predictions_keep_what_they_name(shelf):
    head, said = shelf.object("snapshot"), shelf.object("prediction")
    shelf.store.write(artifacts.head_key("us", "0" * 64), json.dumps({"snapshot": head}).encode())
    shelf.store.write("predictions/us/2026-01-02/1d-version1.json", json.dumps({"table": said}).encode())
    _, objects = shelf.collected()
    assert {head, said} <= objects


def test_trials_stay_for_ever_and_keep_what_they_name(shelf):
    named, key = shelf.object("a trial's P&L", 3000), artifacts.trial_key("us", "0" * 64)
    shelf.store.write(key, json.dumps({"pnl": named}).encode())
    shelf.aged(key, 3000)
    _, objects = shelf.collected()
    assert named in objects
    assert shelf.store.read(key)


def test_an_object_of_a_run_that_has_not_yet_published_stays(shelf):
    fresh = shelf.object("being made", 0.5)
    assert fresh in shelf.collected()[1]


def test_a_plan_deletes_nothing(shelf):
    shelf.run("old", 100, "mine")
    before = set(shelf.store.keys(""))
    going = retention.plan(shelf.store, keep=KEEP, now=NOW)
    assert going.documents
    assert going.size_bytes > 0
    assert set(shelf.store.keys("")) == before


def test_a_ledger_that_does_not_verify_stops_everything(shelf):
    bundle = shelf.object("a bundle", 300)
    shelf.record("registered", 1, "newest", bundle)
    shelf.store.write(artifacts.ledger_key(MODEL, 1), b"{}")
    with pytest.raises(ConfigError, match="does not verify"):
        shelf.collected()
