"""Interfaces of a base model: prepare rows once, fit them to targets with seeds, score rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import LabelKind
from foundry_tasks.models.design import Rows, Scores, Transform

Target = npt.NDArray[np.floating]
"""(n_rows,) 0 or 1. NaN excludes the row from the fit: it has no label, is purged or belongs to another regime.

For a network with several heads (n_rows, n_tasks). The first task is the sign; it alone decides whether a row is learned
from, and the AUC is computed on it alone.
"""


SavedModel = Mapping[str, Any]
"""Parsed output of `FittedModel.to_bytes`. The keys depend on the kind of model."""

Result = TypeVar("Result")


class Mapper(Protocol):
    """Calls a function for each seed: the builtin `map`, or `FitPool.share`, which runs several calls in parallel."""

    def __call__(self, call: Callable[[int], Result], seeds: Sequence[int], /) -> Iterable[Result]:
        """Results in the order of the seeds."""


@dataclass(frozen=True)
class Prepared:
    """Rows prepared once, for any number of targets and seeds.

    names: inputs in order. data: in a format that only the estimator reads. The rows are the fit rows of a fold at the
    shortest horizon; a longer horizon sets the targets of the rows that it purges to NaN.
    """

    names: tuple[str, ...]
    data: Any
    n_rows: int


@dataclass(frozen=True)
class Stopping:
    """A purged window for early stopping: training stops at the round or epoch with the highest mean per-session AUC on it.

    inputs: n_rows rows. target: (n_rows,), the sign. session: (n_rows,) indices.
    """

    inputs: Rows
    target: Target
    session: npt.NDArray[np.int32]


class FittedModel(Protocol):
    """A fitted base model."""

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs, in order."""

    @property
    def transform(self) -> Transform:
        """The transform that makes features into inputs."""

    @property
    def lookback_sessions(self) -> int:
        """Sessions before a row's own that the score depends on. A panel without them gives a different score."""

    def score(self, inputs: Rows, *, threads: int = 1) -> Scores:
        """Log-odds of the positive class, (n_rows,). inputs: n_rows rows."""

    def gain(self) -> Mapping[str, float]:
        """Input → its share of the total gain. Shares sum to 1, or are all 0 if no input has gained."""

    def to_bytes(self) -> bytes:
        """JSON, which `load_model` reads; never a pickle."""


class Estimator(Protocol):
    """A base model to be fitted, on one thread. Equal rows, target and seed give the same model."""

    @property
    def name(self) -> str:
        """The name of the model in a config."""

    transform: ClassVar[Transform]
    """Transform of the design that the model reads."""
    label_kind: ClassVar[LabelKind]
    """Default label: the best one by the evidence in docs. A config may set another."""
    seeded: ClassVar[bool]
    """Whether the model depends on the seed."""
    library: ClassVar[str]
    """The package that fits the model; it is imported at the first fit."""

    def prepare(self, inputs: Rows, names: tuple[str, ...]) -> Prepared:
        """Compute whatever depends on the inputs alone: bins, scale.

        inputs: n_rows rows, the fit rows of a fold alone. names: their columns, in order.
        """

    def fit(
        self,
        prepared: Prepared,
        target: Target,
        *,
        seeds: Sequence[int],
        stopping: Stopping | None = None,
        mapper: Mapper = map,
    ) -> tuple[FittedModel, ...]:
        """Fit once per seed. Fits of the same prepared rows to another target must not run at the same time.

        target: (n_rows,) or (n_rows, n_tasks). Returns one model per seed, in order. Raises DegenerateTargetError if the
        target has fewer than two classes.
        """


@dataclass(frozen=True)
class BaseModel:
    """What a module of `models.base` holds as BASE_MODEL.

    read: makes a fitted model of the JSON object that its `to_bytes` wrote; its `kind` is the estimator's name. packages:
    distributions that fit or score it, besides NumPy; another version of one makes another result.
    """

    estimator: Estimator
    read: Callable[[SavedModel], FittedModel]
    packages: tuple[str, ...] = ()


class DegenerateTargetError(ValueError):
    """The target has fewer than two classes."""


def learnable(target: Target) -> npt.NDArray[np.bool_]:
    """Mask of the rows that have a target, (n_rows,).

    target: (n_rows,) or (n_rows, n_tasks), NaN where unknown. Raises DegenerateTargetError if the rows with a target
    have fewer than two classes.
    """
    sign = sign_of(target)
    known = np.isfinite(sign)
    values = sign[known]
    if not len(values) or values.min() == values.max():
        raise DegenerateTargetError(
            f"the target needs two classes, got {np.unique(values).tolist()} in {len(values)} rows"
        )
    return known


def sign_of(target: Target) -> Target:
    """Target of the sign, (n_rows,) 0 or 1: the first column if there are several tasks."""
    return target if target.ndim == 1 else target[:, 0]


def shares(gains: npt.NDArray[np.floating], names: tuple[str, ...]) -> dict[str, float]:
    """Input → its share of the sum of the gains.

    gains: (n_inputs,), ≥ 0. names: the inputs, in order. All shares are 0 if the sum is 0.
    """
    total = float(gains.sum())
    return {name: float(gain) / total if total > 0 else 0.0 for name, gain in zip(names, gains, strict=True)}
