"""The models: how base models, blend and stack compare, and which features matter to them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import fsum
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents import Interval, Report
from foundry_tasks.contract.documents.base import ByHorizon, Part
from foundry_tasks.contract.documents.ensemble import ModelFigures
from foundry_tasks.contract.documents.models import ModelImportance
from foundry_tasks.contract.documents.report import ComparedRow, ImportanceShare, ModelsSection, RankedFeature
from foundry_tasks.report import interval_bars, wording
from foundry_tasks.report.interval_bars import Row
from foundry_tasks.report.markdown_table import table
from foundry_tasks.report.section import Section, Values
from foundry_tasks.report.skill_rows import drawn_by_figure, shared_scale
from foundry_tasks.report.wording import figure, horizon_name

if TYPE_CHECKING:
    from foundry_tasks.report.report_inputs import ReportInputs

FEATURES_SHOWN = 15
STACK = "stack"
_MODEL_ORDER = {"logistic": -1, "blend_40_60": 1, STACK: 2}
"""Base models first, then what is made of them."""
_COMPARED: Mapping[str, Callable[[ModelFigures], float | None]] = {
    "auc_up": lambda model: model.auc_up,
    "auc_median": lambda model: model.auc_median,
    "rank_ic": lambda model: model.rank_ic,
}


# ------------------------------------------------------------------ report.json
class Keys(Part):
    """Its keys of report.json."""

    models: ByHorizon[ModelsSection]


def _assemble(inputs: "ReportInputs") -> Keys:
    documents = inputs.documents
    comparison = documents.comparison.horizons if documents.comparison else {}
    importance = documents.importance.horizons if documents.importance else {}
    models = {}
    for horizon in comparison or importance:
        compared = comparison.get(horizon, {})
        models[horizon] = ModelsSection(
            comparison=tuple(
                _compared(name, figures)
                for name, figures in sorted(compared.items(), key=lambda item: _MODEL_ORDER.get(item[0], 0))
            ),
            stack_why=compared[STACK].why if STACK in compared else None,
            importance=_ranked(importance.get(horizon, {})),
        )
    return Keys(models=models)


def _compared(name: str, found: ModelFigures) -> ComparedRow:
    return ComparedRow(
        model=name,
        auc_up=found.auc_up,
        auc_median=found.auc_median,
        rank_ic=found.rank_ic,
        pooled_auc_up=found.pooled_auc_up,
        adds=found.adds,
    )


def _ranked(by_model: Mapping[str, ModelImportance]) -> tuple[RankedFeature, ...]:
    """Features by their mean share of gain over the models; where no model has gain, by permutation."""
    gains = [found.gain for found in by_model.values() if found.gain]
    losses = [found.permutation for found in by_model.values() if found.permutation]
    # Models name their largest shares alone, so a share that is missing is next to nothing.
    gain = {name: fsum(values) / len(gains) for name, values in _by_feature(gains).items()}
    permutation = {name: fsum(values) / len(values) for name, values in _by_feature(losses).items()}
    order = sorted(gain.keys() | permutation, key=lambda name: (-gain.get(name, 0), -permutation.get(name, 0), name))
    return tuple(
        RankedFeature(
            feature=name,
            gain=gain.get(name),
            permutation=permutation.get(name),
            by_model={
                model: ImportanceShare(gain=found.gain.get(name), permutation=found.permutation.get(name))
                for model, found in by_model.items()
            },
        )
        for name in order[:FEATURES_SHOWN]
    )


def _by_feature(columns: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Feature → its value in every model that names it."""
    found: dict[str, list[float]] = {}
    for column in columns:
        for name, value in column.items():
            found.setdefault(name, []).append(value)
    return found


# ------------------------------------------------------------------ shown
def _html(document: Report) -> Values | None:
    return {"comparison": _comparison(document.models), "bars": interval_bars} if document.models else None


def _comparison(models_by_horizon: Mapping[int, ModelsSection]) -> dict[int, dict[str, str]]:
    """Horizon → name of the figure → drawing; the last one is the AUC that the average gains by each base model."""
    rows = {
        key: {
            horizon: [
                Row(model_title(item.model), figure_of(item), kind="" if item.model == STACK else "plain")
                for item in models.comparison
            ]
            for horizon, models in models_by_horizon.items()
        }
        for key, figure_of in _COMPARED.items()
    }
    drawn = drawn_by_figure(rows)
    added = {
        horizon: [Row.of(model_title(item.model), item.adds) for item in models.comparison if item.adds is not None]
        for horizon, models in models_by_horizon.items()
    }
    scale = shared_scale(added, 0.0)
    for horizon, items in added.items():
        if items:
            drawing = interval_bars.interval_rows(items, wording.signed, reference=0.0, domain=scale, height=21)
            drawn[horizon] |= {"AUC that the average gains by it": drawing}
    return drawn


def _markdown(document: Report) -> Iterator[str]:
    if not document.models:
        return
    yield from table(
        ("horizon", "model", "AUC against up/down", "AUC against the median", "rank IC", "pooled AUC",
         "adds to the average"),
        [
            (horizon_name(h), model_title(item.model), figure(item.auc_up), figure(item.auc_median),
             figure(item.rank_ic), figure(item.pooled_auc_up), _added(item.adds))
            for h, models in document.models.items()
            for item in models.comparison
        ],
    )  # fmt: skip
    for h, models in document.models.items():
        if models.stack_why:
            yield f"- {horizon_name(h)}, stack: {models.stack_why}"
        if models.importance:
            yield f"- {horizon_name(h)}, most important features: " + ", ".join(
                item.feature for item in models.importance
            )
    yield ""


def model_title(name: str) -> str:
    """A base model or blend as people write it."""
    titles = {
        "blend_40_60": "40/60 blend",
        "lightgbm": "LightGBM",
        "xgboost": "XGBoost",
        "lstm_transformer": "LSTM–Transformer",
        "xlstm_ts": "xLSTM-TS",
    }
    return titles.get(name, name.replace("_", " "))


def _added(adds: Interval | None) -> str:
    """AUC that the average of the base models gains by one of them, with its interval; empty where nobody asked."""
    if adds is None or adds.value is None:
        return ""
    return f"{wording.signed(adds.value)} {wording.interval(adds.lower, adds.upper, wording.signed)}".rstrip()


SECTION = Section(
    name="models", order=80, title="Models", assemble=_assemble, top_level=True, html=_html, markdown=_markdown
)
