"""What every base model is: rows are binned once, fitted to a target with a seed, and give one score a row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import LabelKind
from foundry_tasks.models.design import Rows, Scores, Transform

Target = npt.NDArray[np.floating]
"""(n_rows,) 0 or 1, NaN where the row is not to be learned: no label, purged, or another regime's.

Of a network with several heads (n_rows, n_tasks), the sign first, which alone says whether a row is learned and how well.
"""


SavedModel = Mapping[str, Any]
"""What `FittedModel.to_bytes` wrote, parsed: each kind of model has keys of its own."""

Result = TypeVar("Result")


class Mapper(Protocol):
    """How a call is made for each seed: the builtin `map`, or `FitPool.share` for several at a time."""

    def __call__(self, call: Callable[[int], Result], seeds: Sequence[int], /) -> Iterable[Result]:
        """The results in the order of the seeds."""


@dataclass(frozen=True)
class Prepared:
    """Rows made ready once, for any number of targets and seeds. `data` is the estimator's own.

    Made of a fold's fit rows at the shortest horizon; longer horizons blank the targets of the rows they purge.
    """

    names: tuple[str, ...]
    data: Any
    n_rows: int


@dataclass(frozen=True)
class Stopping:
    """A purged window that says after how many rounds to stop: where its per-session AUC is highest.

    inputs: n_rows of them; target, session: (n_rows,).
    """

    inputs: Rows
    target: Target
    session: npt.NDArray[np.int32]


class FittedModel(Protocol):
    """A base model that has learned."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its inputs, in order."""

    @property
    def transform(self) -> Transform:
        """How features become its inputs."""

    @property
    def lookback_sessions(self) -> int:
        """Sessions before a row's own that its score looks at: a panel has to hold them, or the score is another."""

    def score(self, inputs: Rows, *, threads: int = 1) -> Scores:
        """n_rows → (n_rows,) log-odds; higher means more likely above."""

    def gain(self) -> Mapping[str, float]:
        """How much each input helped, summing to 1 where anything did."""

    def to_bytes(self) -> bytes:
        """JSON, read back by `load_model`; never a pickle."""


class Estimator(Protocol):
    """A base model that can learn, on one thread. Equal rows, target and seed give the same model."""

    @property
    def name(self) -> str:
        """What a config calls it."""

    transform: ClassVar[Transform]
    """Which design it eats."""
    label_kind: ClassVar[LabelKind]
    """Which label it learns best, by the evidence in docs; a config may say otherwise."""
    seeded: ClassVar[bool]
    """Whether a seed makes a difference."""
    library: ClassVar[str]
    """The package that it is made of, imported when it is first used."""

    def prepare(self, inputs: Rows, names: tuple[str, ...]) -> Prepared:
        """Whatever is learned from the rows' inputs alone: bins, scale. inputs: the fit rows of a fold, no others."""

    def fit(
        self,
        prepared: Prepared,
        target: Target,
        *,
        seeds: Sequence[int],
        stopping: Stopping | None = None,
        mapper: Mapper = map,
    ) -> tuple[FittedModel, ...]:
        """Learn, once a seed. The rows serve one target at a time: fits to another must have ended.

        Raises DegenerateTargetError where the target holds one class alone.
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
    """There is nothing to tell apart."""


def learnable(target: Target) -> npt.NDArray[np.bool_]:
    """Which rows have a target. Raises DegenerateTargetError where those hold fewer than two classes.

    target: (n_rows,) or (n_rows, n_tasks), NaN where unknown. Returns (n_rows,).
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
    """(n_rows,) 0 or 1: of several tasks the first."""
    return target if target.ndim == 1 else target[:, 0]


def shares(gains: npt.NDArray[np.floating], names: tuple[str, ...]) -> dict[str, float]:
    """Gains by name, as shares of their sum.

    gains: (n_inputs,), ≥ 0. All shares are 0 where no input has gained.
    """
    total = float(gains.sum())
    return {name: float(gain) / total if total > 0 else 0.0 for name, gain in zip(names, gains, strict=True)}
