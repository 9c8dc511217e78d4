"""A bundle: everything that a model version needs to predict, as a zip file of JSON documents; never a pickle.

`adapters.served_model` serves it. Model versions that earlier releases registered name `_load_pyfunc` of this module as
their loader.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from pydantic import JsonValue

from foundry_tasks.contract.config import LabelEntry
from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.data.panel import FeaturePanel, FeatureSource, FloatArray
from foundry_tasks.models.base_models import load_model, score_panel
from foundry_tasks.models.design import MIN_CROSS_SECTION
from foundry_tasks.models.estimator import FittedModel
from foundry_tasks.models.market_regime import VOLATILITY, first_known
from foundry_tasks.models.meta_learner import REGIMES
from foundry_tasks.models.per_regime import PerRegimeModel
from foundry_tasks.models.stack import Stack

if TYPE_CHECKING:
    import pandas as pd

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Modification time of every zip entry: equal bundles give equal bytes."""


class BundleOrigin(TypedDict, total=False):
    """Provenance of a bundle. Bundles of earlier releases may lack some keys."""

    kind: str
    last_session: str
    """ISO date."""
    label_entry: LabelEntry
    features_digest: str
    labels_digest: str
    prices_digest: str
    code_version: str


@dataclass(frozen=True)
class Bundle:
    """Base models, stack and base rate of one market and horizon.

    horizon: in sessions. features: the input columns, in order. base_rate: share of up labels known after the last session.
    models: name → base model. about: provenance; it does not affect predictions. calendar: the market's exchange calendar.
    n_tickers: number of tickers of the panel that the models were fitted on. calendar and n_tickers are None in bundles of
    earlier releases.
    """

    market: str
    horizon: int
    features: tuple[str, ...]
    base_rate: float
    models: Mapping[str, FittedModel]
    stack: Stack
    about: BundleOrigin
    calendar: str | None = None
    n_tickers: int | None = None

    @property
    def lookback_sessions(self) -> int:
        """Sessions that a panel must hold before the first session to predict."""
        return lookback_of(self.models)

    def p_up(self, panel: FeaturePanel, *, threads: int = 1) -> FloatArray:
        """P(up) of a panel that holds `features`, (n_sessions, n_tickers), NaN where a row has too few features."""
        base = {name: score_panel(model, panel, threads=threads) for name, model in self.models.items()}
        rate = np.full(len(panel.sessions), self.base_rate)
        return self.stack.p_up(base, regime_of(panel), rate)

    def scores(self, panel: FeaturePanel, *, threads: int = 1) -> FloatArray:
        """Scores of the stack before calibration, standardised within the session.

        Shape (n_sessions, n_tickers), NaN where a row has too few features.
        """
        base = {name: score_panel(model, panel, threads=threads) for name, model in self.models.items()}
        return self.stack.scores(base, regime_of(panel))

    def to_bytes(self) -> bytes:
        """A zip of manifest.json, stack.json and models/<name>.json; equal bundles give equal bytes."""
        manifest = {
            "market": self.market,
            "horizon": self.horizon,
            "features": self.features,
            "base_rate": self.base_rate,
            "models": list(self.models),
            "about": self.about,
            "calendar": self.calendar,
            "n_tickers": self.n_tickers,
        }
        documents = {
            "manifest.json": json.dumps(manifest, sort_keys=True, indent=1).encode(),
            "stack.json": self.stack.to_bytes(),
            **{f"models/{name}.json": model.to_bytes() for name, model in self.models.items()},
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, document in documents.items():
                entry = zipfile.ZipInfo(name, date_time=_EPOCH)
                archive.writestr(entry, document, zipfile.ZIP_DEFLATED, compresslevel=6)
        return buffer.getvalue()

    @classmethod
    def from_file(cls, path: Path) -> "Bundle":
        """Read a bundle. No code of the file is executed."""
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            return cls(
                market=manifest["market"],
                horizon=manifest["horizon"],
                features=tuple(manifest["features"]),
                base_rate=manifest["base_rate"],
                models={name: load_model(archive.read(f"models/{name}.json")) for name in manifest["models"]},
                stack=Stack.from_bytes(archive.read("stack.json")),
                about=manifest["about"],
                calendar=manifest.get("calendar"),
                n_tickers=manifest.get("n_tickers"),
            )


def regime_of(features: FeatureSource) -> dict[str, FloatArray]:
    """Market-wide inputs of the meta-learner, name → (n_sessions,): each session's first finite value, NaN if none."""
    return {name: first_known(features[name]) for name in features.names if name in REGIMES}


def lookback_of(models: Mapping[str, FittedModel]) -> int:
    """The largest `lookback_sessions` of the models: sessions before a row's own that at least one model reads."""
    return max(model.lookback_sessions for model in models.values())


def needed_features(models: Mapping[str, FittedModel], stack: Stack, available: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the features that the base models and the stack read, in the order of `available`."""
    needed = {name for model in models.values() for name in model.names}
    needed |= set(stack.meta.regimes if stack.meta else ())
    if stack.adjustment or any(isinstance(model, PerRegimeModel) for model in models.values()):
        needed.add(VOLATILITY)
    return tuple(name for name in available if name in needed)


# ------------------------------------------------------------------ mlflow.pyfunc
class PyfuncBundle:
    """The bundle as an MLflow pyfunc: date, ticker, features → date, ticker, horizon, p_up, in the order of the rows."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: "pd.DataFrame", params: Mapping[str, JsonValue] | None = None) -> "pd.DataFrame":  # noqa: ARG002 - MLflow's signature
        """P(up) of every row, with the row's own index; NaN where a row has too few features.

        model_input: n_rows rows with columns date, ticker and the bundle's features. Returns columns date, ticker, horizon
        and p_up, n_rows rows in the same order. params: ignored.

        The result depends neither on the order of the rows nor on other sessions in the call, except for a deep model: it
        also needs the sessions before, as many as the version's tag `foundry.lookback_sessions` says. All rows of a session
        must be in one call: features are ranked and scores standardised within the session, so P(up) differs if only some
        of its tickers are sent. Raises DataRejectedError if `read_keys` refuses the keys, if a column is missing or
        repeated, or if ten or more tickers are sent to a model that was fitted on fewer: its features were not ranked.
        """
        import pandas as pd  # noqa: PLC0415 - the stages do not need it

        from foundry_tasks.models.row_keys import read_keys, refuse_columns  # noqa: PLC0415 - as above

        refuse_columns(list(model_input.columns), self.bundle.features)
        days, named = read_keys(model_input, self.bundle.calendar)
        p_up: FloatArray = np.empty(0)
        if len(model_input):
            sessions, at_session = np.unique(days, return_inverse=True)
            at_ticker, tickers = pd.factorize(named, sort=True)
            columns = self._columns(tickers.tolist())
            values = np.full((len(self.bundle.features), len(sessions), len(columns)), np.nan, dtype=np.float32)
            for place, name in enumerate(self.bundle.features):
                values[place, at_session, at_ticker] = model_input[name].to_numpy(np.float32)
            panel = FeaturePanel(sessions, columns, self.bundle.features, values)
            p_up = self.bundle.p_up(panel)[at_session, at_ticker]
        return pd.DataFrame(
            {
                "date": days.astype("datetime64[s]"),
                "ticker": named,
                "horizon": np.full(len(model_input), self.bundle.horizon, dtype=np.int64),
                "p_up": p_up,
            },
            index=model_input.index,
        )

    def _columns(self, tickers: list[str]) -> tuple[str, ...]:
        """Tickers of the panel. If the model was fitted on ranks and gets too few tickers to rank, empty ones are appended."""
        fitted_on, asked = self.bundle.n_tickers, len(tickers)
        if fitted_on is not None and fitted_on < MIN_CROSS_SECTION <= asked:
            raise DataRejectedError(
                f"{asked} tickers for a model that was fitted on {fitted_on} and takes at most {MIN_CROSS_SECTION - 1} at "
                "once. Send them in several requests."
            )
        is_ranked = fitted_on is not None and fitted_on >= MIN_CROSS_SECTION
        n_empty = max(MIN_CROSS_SECTION - asked, 0) if is_ranked else 0
        return (*tickers, *[""] * n_empty)


def _load_pyfunc(path: str) -> PyfuncBundle:
    """The loader that `mlflow.pyfunc` calls. path: the bundle."""
    return PyfuncBundle(Bundle.from_file(Path(path)))
