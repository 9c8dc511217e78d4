"""The published documents of a run on a small invented market."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import JsonValue

from foundry_tasks.adapters.store_local import LocalStore
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import GatePolicy, ReportConfig
from foundry_tasks.contract.documents import (
    Comparison,
    Diagnostics,
    Document,
    Features,
    Fold,
    Folds,
    Gates,
    HorizonGates,
    Importance,
    Interval,
    Predictions,
    Prices,
    Promotion,
    Promotions,
    Refit,
    Refits,
    Report,
    TrialFigures,
    Window,
)
from foundry_tasks.contract.documents.ensemble import ComparedModel
from foundry_tasks.contract.documents.gates import EntryFigures, FoldFigures, GatesHeadline
from foundry_tasks.contract.documents.models import ModelImportance
from foundry_tasks.contract.documents.predict import Predictor
from foundry_tasks.contract.documents.prices import Columns, ExcludedBars
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.results import StageResult
from foundry_tasks.contract.stage_io import Code, Environment, StageIO
from foundry_tasks.data.tables import Matrices, write_matrices, write_table
from foundry_tasks.evaluation import metrics
from foundry_tasks.evaluation.selection_bias import selection_bias
from foundry_tasks.evaluation.standard_portfolio import DailyPnl, StandardTrades
from foundry_tasks.gates.diagnostics import Edge, Edges, gate_diagnostics, trial_figures
from foundry_tasks.gates.verdict import evaluate_gates
from foundry_tasks.stages import report
from foundry_tasks.walk.evidence import Evidence
from foundry_tasks.walk.trading import Trading

HORIZONS = (1, 5, 20)
TICKERS = tuple(f"T{number:02d}" for number in range(24))
N_SESSIONS, N_TEST = 560, 400
POLICY = GatePolicy(resamples=200)
ENTRIES = ("close", "next_open", "next_close")


class SilentProgress:
    def start(self, label: str, total: int) -> None: ...
    def advance(self, note: str = "") -> None: ...


class Market:
    """Prices, forecasts with some skill, and the gates' report on them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        self.sessions = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + N_SESSIONS)
        self.returns = {h: rng.normal(0.0004 * h, 0.02 * np.sqrt(h), (N_SESSIONS, len(TICKERS))) for h in HORIZONS}
        self.p_up = {
            h: 0.52 + 0.01 * (0.12 * returns / returns.std() + rng.normal(size=returns.shape))
            for h, returns in self.returns.items()
        }
        edges = np.linspace(N_SESSIONS - N_TEST, N_SESSIONS, 6).astype(int).tolist()
        self.folds = tuple(
            Fold(number, Window(0, start - 24), Window(start - 22, start - 2), Window(start, stop))
            for number, (start, stop) in enumerate(itertools.pairwise(edges), start=1)
        )

    def up(self, horizon: int) -> np.ndarray:
        up: np.ndarray = (self.returns[horizon] > 0).astype(float)
        up[N_SESSIONS - horizon :] = np.nan
        return up

    def gates(self, *, leaks: tuple[str, ...] = ()) -> Gates:
        rows = slice(N_SESSIONS - N_TEST, N_SESSIONS)
        horizons = {}
        for horizon in HORIZONS:
            up, p_up = self.up(horizon), self.p_up[horizon]
            windows = [(fold.validation or Window(0, 0), fold.test) for fold in self.folds]
            series = metrics.session_hit_rate(p_up, up)
            evidence = Evidence(
                horizon=horizon,
                p_up=p_up[rows],
                base_rate=np.full_like(p_up[rows], 0.52),
                up=up[rows],
                above_median=up[rows],
                forward_return=self.returns[horizon][rows],
                member=np.ones_like(up[rows], bool),
                validation_relative=[series[validation.slice] for validation, _ in windows],
                test_relative=[series[test.slice] for _, test in windows],
                validation_up=[series[validation.slice] for validation, _ in windows],
                test_up=[series[test.slice] for _, test in windows],
                leaks=leaks,
                trading=_trading(self.returns[horizon][rows]),
            )
            report = evaluate_gates(evidence, POLICY, seed=1)
            horizons[horizon] = HorizonGates(
                horizon=horizon,
                verdict=report.verdict,
                gates=report.gates,
                null=report.null,
                diagnostics=_diagnostics(evidence),
                champion_version=None,
            )
        return Gates(validate_only=False, policy=POLICY, horizons=horizons)


def _trading(returns: np.ndarray) -> Trading:
    """Returns from the next close, and a portfolio whose P&L does not pay for its trades."""
    gross = np.random.default_rng(9).normal(0.0001, 0.004, len(returns))
    daily = DailyPnl(np.datetime64("2020-06-01") + np.arange(len(returns)), gross - 0.00025)
    return Trading(0.4, returns, StandardTrades("next_close", daily, gross, np.ones(len(returns))))


def _diagnostics(evidence: Evidence) -> Diagnostics:
    """Diagnostics as the gates stage publishes them, with round figures that tests can search for."""
    relative = Edge(evidence.validation_relative, evidence.test_relative, neutral=0.5)
    edges = Edges(relative, relative, relative)
    found = gate_diagnostics(evidence, edges, {"close": evidence.forward_return}, POLICY, seed=1)
    return found.model_copy(update=_round_figures())


def _trials() -> TrialFigures:
    """The gates stage's figures of the ledger's trials."""
    sessions, rng = np.datetime64("2020-06-01") + np.arange(N_TEST), np.random.default_rng(8)
    trials = [DailyPnl(sessions, rng.normal(0.0, 0.01, N_TEST)) for _ in range(12)]
    return trial_figures(selection_bias(trials[0], trials))


def _round_figures() -> dict[str, Any]:
    def around(value: float, width: float = 0.008) -> Interval:
        return Interval(value=value, lower=value - width, upper=value + width)

    return {
        "auc_median": around(0.514), "rank_ic": around(0.025), "hit_rate_up": around(0.517),
        "brier": around(0.2489, 0.0006), "brier_base_rate": around(0.2493, 0.0006), "base_rate": 0.523,
        "entries": {"close": EntryFigures(auc_up=around(0.516), rank_ic=around(0.025)),
                    "next_close": EntryFigures(auc_up=Interval(value=0.501), rank_ic=around(0.002))},
        "folds": (FoldFigures(auc_up=0.51, auc_median=None, rank_ic=0.02),) * 5,
        "sessions": N_TEST,
    }  # fmt: skip


class Run:
    """Publishes the stages' documents, then runs the report stage."""

    def __init__(self, folder: Path, dag: str, run_id: str) -> None:
        self.store, self.dag, self.run_id, self.folder = LocalStore(folder / "store"), dag, run_id, folder

    def io(self, stage: str, shard: str | None = None) -> StageIO:
        workspace = self.folder / "work" / stage
        workspace.mkdir(parents=True, exist_ok=True)
        environment = Environment(
            store=self.store, expectations=None, registry=None, code=Code("0.1+abc"),  # type: ignore[arg-type]  # unused
            now=lambda: datetime(2021, 7, 14, tzinfo=UTC),
        )  # fmt: skip
        identity = Identity(self.dag, self.run_id, stage, shard, date(2021, 7, 13))
        return StageIO.of(identity, environment, workspace, SilentProgress())

    def finish(self, io: StageIO, *, total: float = 2.0, reused_from: str | None = None) -> StageResult:
        digest = artifacts.outputs_digest({name: item.sha256 for name, item in io.outputs.artifacts.items()})
        identity = io.identity
        result = StageResult(
            dag=self.dag, run_id=self.run_id, stage=identity.stage, shard=identity.shard, as_of=identity.as_of,
            status="warn" if io.outputs.warnings else "ok", inputs={}, outputs=io.outputs.artifacts, outputs_digest=digest,
            metrics=io.outputs.metrics, warnings=io.outputs.warnings, config={"seed": 7}, config_digest="c" * 64,
            code_version=io.environment.code.version, image_digest="", seed=7,
            elapsed_s={"start": 0.6, **io.steps.elapsed_s, "total": total}, reused_from=reused_from,
        )  # fmt: skip
        key = artifacts.result_key(self.dag, self.run_id, identity.stage, identity.shard)
        self.store.write(key, result.model_dump_json().encode())
        line = {"stage": identity.stage, "timestamp": "2021-07-14T00:00:00+00:00"}
        self.store.append(artifacts.run_log_key(self.dag, self.run_id), artifacts.canonical_json(line))
        return result

    def publish(
        self,
        stage: str,
        documents: Document | Mapping[str, Any],
        warnings: Iterable[str] = (),
        **metrics: JsonValue,
    ) -> None:
        io = self.io(stage)
        io.outputs.metrics |= metrics
        if isinstance(documents, Document):
            io.publish(documents)
        else:
            for name, document in documents.items():
                io.publish_file(name, artifacts.canonical_json(document))
        io.outputs.warnings += warnings
        self.finish(io)

    def publish_panels(self, market: Market) -> None:
        labels = self.io("labels")
        values: dict[str, np.ndarray] = {}
        for horizon in HORIZONS:
            up = market.up(horizon)
            values[f"up_{horizon}d"] = up
            for entry in ENTRIES:
                absent = np.full_like(up, np.nan)
                values[f"return_{horizon}d_{entry}"] = absent if entry == "next_open" else market.returns[horizon]
        path = labels.outputs.workspace / "labels.parquet"
        write_matrices(path, Matrices(market.sessions, TICKERS, values))
        labels.publish_file("labels.parquet", path)
        self.finish(labels)
        ensemble = self.io("ensemble")
        for horizon in HORIZONS:
            for fold in market.folds:
                rows = slice(fold.validation.start, fold.test.stop)  # type: ignore[union-attr]  # reported folds have a validation block
                p_up = market.p_up[horizon][rows]
                matrices = Matrices(
                    market.sessions[rows], TICKERS, {"p_up": p_up, "base_rate": np.full_like(p_up, 0.52)}
                )
                path = ensemble.outputs.workspace / f"{horizon}-{fold.name}.parquet"
                write_matrices(path, matrices)
                ensemble.publish_file(f"{horizon}d/{fold.name}.parquet", path)
        figures = ComparedModel(auc_up=0.512, auc_median=0.511, rank_ic=None, pooled_auc_up=0.51)
        adds = Interval(value=0.0012, lower=-0.0004, upper=0.0029)
        compared = {
            "logistic": figures.model_copy(update={"adds": adds}),
            "blend_40_60": figures,
            "stack": figures.model_copy(update={"why": "won by a paired interval"}),
        }
        ensemble.publish(Comparison(horizons=dict.fromkeys(HORIZONS, compared)))
        self.finish(ensemble, total=31.0)

    def publish_predictions(self) -> None:
        io = self.io("predict")
        rng = np.random.default_rng(5)
        p_up = rng.normal(0.52, 0.02, (len(TICKERS), len(HORIZONS)))
        n_rows = p_up.size
        columns = {
            "date": np.full(n_rows, np.datetime64("2021-07-13")),
            "ticker": np.repeat(np.array(TICKERS, object), len(HORIZONS)),
            "horizon": np.tile(HORIZONS, len(TICKERS)),
            "p_up": p_up.reshape(-1),
            "mean_p_up": np.repeat(p_up.mean(axis=1), len(HORIZONS)),
            "confidence": np.abs(p_up - 0.5).reshape(-1) * 2,
            "position": np.full(n_rows, np.nan),
            "kind": np.full(n_rows, "shadow", object),
        }
        path = io.outputs.workspace / "predictions.parquet"
        write_table(path, columns)
        io.publish_file("predictions.parquet", path)
        version = Predictor(model="foundry-us-1d", version=3, kind="shadow", why="no champion yet")
        used = dict.fromkeys(HORIZONS, version)
        io.publish(Predictions(as_of="2021-07-13", per_horizon=used, coverage=0.98))
        self.finish(io)

    def page(self, name: str) -> str:
        content = self.store.read(artifacts.page_key(self.dag, self.run_id, name))
        assert content is not None, f"no {name}"
        return content.decode()

    def document(self) -> Report:
        return Report.model_validate_json(self.page("report.json"))

    def report(self, top: int = 5) -> StageIO:
        io = self.io("report")
        report.run(ReportConfig(top=top), io)
        self.finish(io)
        return io


PRICES = Prices(
    source="sample", calendar="XNYS", as_of=date(2021, 7, 13), columns=Columns(present=("close",), absent=("volume",)),
    tickers=24, sessions=560, first_session=date(2020, 1, 1), last_session=date(2021, 7, 13), benchmark="SPY",
    vix=None, sectors=0, universe="today's members <only>: survivorship bias", coverage=0.991,
    excluded=(ExcludedBars(reason="low above high", ticker="T07", bars=1, first=date(2020, 2, 3), last=date(2020, 2, 3)),),
    restated=(), snapshot="f" * 64,
)  # fmt: skip
LEAKAGE = {
    "leaks": [],
    "checked": ["84 features, prices cut after 3 dates"],
    "not_audited": ["stack and calibrator at 1d in folds other than fold2"],
}


def publish_train_run(run: Run, market: Market, *, until: str = "predict", gates: Gates | None = None) -> None:
    """Publish every stage of a train run in order, up to and including `until`."""
    prices = run.io("prices")
    prices.publish(PRICES)
    prices.warn("prices: T07 has one bar outside [low, high]")
    prices.outputs.show("data_docs/prices/index.html", b"<html></html>")
    run.finish(prices)
    left_out = {"vol_ratio_20d": "prices have no volume"}
    features = run.io("features")
    features.publish(
        Features(feature_set="core", names=("ret_1d",), left_out=left_out, sessions=560, first_session=date(2020, 1, 1))
    )
    run.finish(features)
    folds = Folds(horizons=dict.fromkeys(HORIZONS, market.folds))
    for shard, model in (("m=lightgbm", "lightgbm"), ("m=logistic", "logistic")):
        io = run.io("models", shard)
        gain = {"ret_1d": 0.7, "rsi_14": 0.3} if model == "lightgbm" else {}
        looks_at = ModelImportance(gain=gain, permutation={"ret_1d": 0.004, "rsi_14": -0.0002})
        io.publish(folds)
        io.publish(Importance(horizons={h: {model: looks_at} for h in HORIZONS}))
        run.finish(io, total=40.0)
    run.publish_panels(market)
    run.publish("leakage", {"leakage.json": LEAKAGE})
    judged, trials = gates or market.gates(), _trials()
    headlines = {
        f"{h}d": GatesHeadline(verdict=item.verdict, auc=item.gates[0].value, trials=trials).model_dump(mode="json")
        for h, item in judged.horizons.items()
    }
    run.publish("gates", judged, ["5d: refused, gates auc"], **headlines)
    if until == "gates":
        return
    refits = {
        h: Refit(horizon=h, kind="refit", accepted=True, reason="", rank_correlation=0.93, spread_ratio=1.02)
        for h in HORIZONS
    }
    run.publish("refit", Refits(horizons=refits))
    promotions = {
        h: Promotion(
            model=f"foundry-us-{h}d", version=3, event="refused", why="gates refused: auc", champion_before=None,
            champion_after=None, sha256="a" * 64, record=2, uri=f"models:/foundry-us-{h}d/3",
            url="http://127.0.0.1:5000/#/models",
        )
        for h in HORIZONS
    }  # fmt: skip
    run.publish("promote", Promotions(horizons=promotions))
    run.publish_predictions()


@pytest.fixture(scope="session")
def market() -> Market:
    return Market()


@pytest.fixture
def document(train_run: Run) -> Report:
    """`report.json` of this run."""
    return train_run.document()


@pytest.fixture
def publish() -> Callable[..., None]:
    """publish(run, market, until="gates", gates=…)."""
    return publish_train_run


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Run]:
    def new(dag: str = "foundry_train", run_id: str = "manual__2021-07-14T00:00:00+00:00") -> Run:
        return Run(tmp_path, dag, run_id)

    return new


@pytest.fixture(scope="session")
def train_run(tmp_path_factory: pytest.TempPathFactory, market: Market) -> Run:
    """A whole train run with its report."""
    run = Run(tmp_path_factory.mktemp("train"), "foundry_train", "manual__2021-07-14T00:00:00+00:00")
    publish_train_run(run, market)
    run.report()
    return run
