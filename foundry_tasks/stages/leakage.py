"""leakage: the audit on this run's data. A leak refuses the model and does not stop the run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256

import numpy as np

from foundry_tasks.audit import leakage
from foundry_tasks.audit.dates import cut_sessions
from foundry_tasks.audit.refits import Plan, Refitter, compared_sessions, draw_plan
from foundry_tasks.audit.stacks import StackAudit, audit_stack
from foundry_tasks.contract.config import DeepTask, LabelKind, LeakageConfig, ModelsConfig
from foundry_tasks.contract.documents import Leakage, Prices
from foundry_tasks.contract.documents.prices import PriceAudit
from foundry_tasks.contract.stage_io import StageIO
from foundry_tasks.data.panel import FeaturePanel, FloatArray, PricePanel
from foundry_tasks.data.tables import FeatureFile, read_prices
from foundry_tasks.data.temporary_matrices import TemporaryMatrices
from foundry_tasks.features.build import feature_blocks, features_for
from foundry_tasks.features.labels import label_span
from foundry_tasks.inputs.dated_scores import DatedScores
from foundry_tasks.inputs.label_file import TargetFile
from foundry_tasks.inputs.run_inputs import RunInputs
from foundry_tasks.models.bundle import regime_of
from foundry_tasks.walk.stack_walk import StackInputs

AUDITED_LABELS: tuple[LabelKind | DeepTask, ...] = ("up", "median", "sector", "size", "volatility")
"""All that a base model can learn."""
NO_PRICE_AUDIT = PriceAudit(leaks=(), checked=(), not_audited=("prices: the stage prices of this run made no audit",))


def run(config: LeakageConfig, io: StageIO) -> None:
    """prices, features, labels, models, ensemble → leakage.json: the leaks, the checks that were made, and the gaps."""
    rng = draws_of(io)
    with io.step("read"):
        prices = read_prices(io.path("prices", "prices.parquet"))
        published = FeatureFile(io.path("features", "features.parquet"))
    inputs = RunInputs(io.inputs)
    recipe = inputs.fitted_config(config.threads)
    entry, folds = inputs.labels_config.label_entry, inputs.folds
    spans = {horizon: label_span(horizon, entry) for horizon in folds}
    feature_set = inputs.features_config.feature_set
    targets = TargetFile(io.path("labels", "labels.parquet"))

    def build(panel: PricePanel) -> Iterator[FeaturePanel]:
        return feature_blocks(panel, features_for(panel, feature_set)[0], TemporaryMatrices, threads=config.threads)

    of_prices = io.read(Prices).audit or NO_PRICE_AUDIT
    leaks, checked = [*of_prices.leaks], [*of_prices.checked]
    dates = cut_sessions(len(prices.sessions), config.audit_dates, rng)
    fits = _Fits(io, inputs, recipe, published, targets, spans)
    io.steps.progress.start("leakage", len(dates) + 3 + len(fits.plan.refits))
    for at in dates:
        day = prices.sessions[at]
        with io.step("features"):
            leaks += leakage.audit_features(prices, published, build, at=at, rng=rng)
        checked.append(f"features with prices after {day} cut, poisoned with NaN and with noise")
        io.steps.progress.advance(str(day))
    with io.step("labels"):
        for horizon in folds:  # one after the other, so that the labels of one are in memory
            labels: dict[str, FloatArray] = {name: targets.once(horizon, name) for name in AUDITED_LABELS}
            for at in dates:
                leaks += leakage.audit_labels(prices, {horizon: labels}, entry, at=at, rng=rng)
    checked.append(f"labels {', '.join(AUDITED_LABELS)} with prices after these dates cut and poisoned with noise")
    with io.step("rescaling"):
        leaks += leakage.audit_rescaling(prices, published, build)
    checked.append("features with one ticker's history halved")
    io.steps.progress.advance("rescaling")
    for horizon, walk in folds.items():
        leaks += leakage.audit_folds(walk, label_span=spans[horizon], lookback=recipe.lookback_sessions)
    checked.append(f"windows and purges of {sum(map(len, folds.values()))} folds")
    io.steps.progress.advance("folds")
    found = fits.audit()
    leaks += found.leaks
    checked += found.checked
    not_audited = (*of_prices.not_audited, *_not_audited(prices, dates), *found.not_audited)
    io.publish(Leakage(leaks=tuple(leaks), checked=tuple(checked), not_audited=not_audited))
    io.outputs.metrics |= {"leaks": len(leaks), "checks": len(checked)}
    for leak in leaks:
        io.warn(f"leak: {leak}")


def _not_audited(prices: PricePanel, dates: Sequence[int]) -> list[str]:
    """Checks that this run's prices leave without an object."""
    missing = []
    if "adj_close" not in prices.fields:
        missing.append("features that know later dividends: the prices have no adj_close beside close")
    if not any(leakage.strangers(prices, at).any() for at in dates):
        missing.append("cross-sections that hold non-members: no ticker has prices before or after its membership")
    return missing


def draws_of(io: StageIO, part: str = "") -> np.random.Generator:
    """Random numbers of a part of the audit. They follow from the audited files alone: no conf, shard or retry changes them.

    part: a name; parts with different names are independent.
    """
    audited = {
        f"{name}={artifact.sha256}"
        for stage in ("prices", "features", "labels", "models")
        for result in io.inputs.shards(stage)
        for name, artifact in result.outputs.items()
        if name.endswith(".parquet")
    }
    digest = sha256("\n".join([part, *sorted(audited)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


@dataclass(frozen=True)
class _Fits:
    """The audit of all that is fitted: base models, stack, calibrator, base rate."""

    io: StageIO
    inputs: RunInputs
    recipe: ModelsConfig
    features: FeatureFile
    targets: TargetFile
    spans: Mapping[int, int]

    @cached_property
    def plan(self) -> Plan:
        """The drawn horizon and fold, and what is refitted."""
        return draw_plan(self.inputs.folds, self.recipe.models, draws_of(self.io, "plan"))

    @cached_property
    def _published(self) -> DatedScores:
        return DatedScores(self.io.inputs, self.features.sessions)

    def audit(self) -> Leakage:
        """The leaks, checks and gaps."""
        io, plan, folds = self.io, self.plan, self.inputs.folds[self.plan.horizon]
        published = self._published.of_model
        refitter = Refitter(self.recipe, self.inputs.folds, self.spans, self.features, self.targets.wide, published)
        leaks: list[str] = []
        fitted: list[str] = []
        with io.step("refit"):
            for refit, found in refitter.audit(plan, draws_of(io, "refits")):
                leaks += found
                fitted.append(f"{refit.name} of {folds[refit.block].name}")
                io.steps.progress.advance(fitted[-1])
        with io.step("stack"):
            stack = self._audit_stack()
        fitted.append(f"stack and base rate of {folds[plan.block].name}")
        io.steps.progress.advance(fitted[-1])
        return Leakage(
            leaks=(*leaks, *stack.leaks),
            checked=tuple(
                f"{what} at {plan.horizon}d refitted with everything after its fit window poisoned" for what in fitted
            ),
            not_audited=(*plan.not_audited, *stack.not_audited),
        )

    def _audit_stack(self) -> StackAudit:
        inputs, horizon = self.inputs, self.plan.horizon
        folds = inputs.folds[horizon][: self.plan.block + 1]
        stack = StackInputs(
            partial(self._published.of_models, horizon),
            regime_of(self.features),
            inputs.labels(horizon),
            horizon,
            self.spans[horizon],
        )
        rng = draws_of(self.io, "stack")
        sessions = compared_sessions(folds[-1], rng)
        published = self._published.forecast(horizon, folds[-1], sessions)
        return audit_stack(folds, stack, inputs.ensemble_config, published, sessions, rng)
