"""Sequence models as base models: the networks by name, and how they are fitted, saved, loaded and scored.

Keras is imported only to build a network for training. A saved network is scored by NumPy.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Required, TypedDict, Unpack, get_args

import numpy as np

from foundry_tasks.contract.config import DeepConfig, DeepTask, LabelKind, ModelName
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.models.deep.journal import NO_JOURNAL, FitJournal
from foundry_tasks.models.deep.numpy_forward import lstm_transformer, xlstm_ts
from foundry_tasks.models.deep.numpy_forward.layers import Array, Shapes
from foundry_tasks.models.deep.scoring import in_chunks, score_sessions
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.design import Scores, Transform
from foundry_tasks.models.estimator import Mapper, Prepared, SavedModel, Stopping, Target, learnable, shares
from foundry_tasks.models.scaler import Scaler

if TYPE_CHECKING:
    import keras


class _BuildOptions(TypedDict, total=False):
    steps: Required[int]
    inputs: Required[int]
    width: Required[int]
    blocks: Required[int]
    dropout: float


class _LSTMTransformerOptions(_BuildOptions, total=False):
    tasks: Sequence[DeepTask]


class _XLSTMOptions(_BuildOptions, total=False):
    denoise: bool


def _lstm_transformer(**arguments: Unpack[_LSTMTransformerOptions]) -> "keras.Model":
    from foundry_tasks.models.deep.lstm_transformer import build_lstm_transformer  # noqa: PLC0415 - importing Keras takes seconds

    return build_lstm_transformer(**arguments)


def _xlstm_ts(**arguments: Unpack[_XLSTMOptions]) -> "keras.Model":
    from foundry_tasks.models.deep.xlstm_ts import build_xlstm_ts  # noqa: PLC0415 - as above

    return build_xlstm_ts(**arguments)


@dataclass(frozen=True)
class Network:
    """A network: how Keras builds it for training, and the forward pass in NumPy that scores it after it is saved.

    build(steps, inputs, width, blocks, dropout) → a keras.Model whose first weights project the inputs to the width.
    shapes(steps, inputs, width, blocks) → shapes of the saved weights. log_odds(windows, weights) → (batch,).
    xla: whether XLA makes it faster on a GPU; it does not for Keras' LSTM, whose GPU kernel XLA replaces by a slower one.
    tasks: tasks that have a head; if there are several, build also takes `tasks`. denoises: whether build and log_odds
    take `denoise`.
    """

    build: Callable[..., "keras.Model"]
    shapes: Callable[..., Shapes]
    log_odds: Callable[..., Array]
    xla: bool
    tasks: tuple[DeepTask, ...] = ("sign",)
    denoises: bool = False

    def denoise(self, config: DeepConfig) -> bool:
        """Whether the network denoises its windows under this config."""
        return self.denoises and config.denoise


NETWORKS: dict[str, Network] = {
    "lstm_transformer": Network(
        _lstm_transformer, lstm_transformer.shapes, lstm_transformer.log_odds, xla=False, tasks=get_args(DeepTask)
    ),
    "xlstm_ts": Network(_xlstm_ts, xlstm_ts.shapes, xlstm_ts.log_odds, xla=True, denoises=True),
}


def tasks_of(name: ModelName, config: DeepConfig) -> tuple[DeepTask, ...]:
    """Tasks that a base model learns, the sign first: the tasks of `config.deep_tasks` that its network has a head for."""
    heads = NETWORKS[name].tasks if name in NETWORKS else ("sign",)
    return tuple(task for task in heads if task in config.deep_tasks)


_DEFAULTS = DeepConfig()


@dataclass(frozen=True)
class DeepModel:
    """A fitted network: the arguments that it was built with, and its weights.

    network: key of NETWORKS. names: inputs in order. steps: sessions in a window. weights: float32, concatenated in the order
    of the network's `shapes`.
    """

    transform: ClassVar[Transform] = "sequence"
    network: str
    names: tuple[str, ...]
    steps: int
    width: int
    blocks: int
    denoise: bool
    scaler: Scaler
    weights: bytes

    @property
    def lookback_sessions(self) -> int:
        """Steps of a window minus one."""
        return self.steps - 1

    def score(self, inputs: Sequences, *, threads: int = 1) -> Scores:
        """Log-odds by NumPy, (n_rows,). inputs: n_rows rows.

        They equal those of the trained network in Keras up to float32 rounding: within 1e-5, and up to 3e-5 where a change
        of an input's last bit changes them by as much.
        """
        network, weights = NETWORKS[self.network], iter(self._arrays())
        parts = {part: {name: next(weights) for name in shapes} for part, shapes in self._shapes().items()}
        log_odds = partial(network.log_odds, weights=parts, **({"denoise": True} if self.denoise else {}))
        return score_sessions(in_chunks(log_odds), inputs, self.scaler, self.steps, threads=threads)

    def gain(self) -> Mapping[str, float]:
        """Input → share of the norm of its projection weights. Inputs are standardised, so the norms are comparable."""
        projection = self._arrays()[0]
        return shares(np.linalg.norm(projection, axis=1), self.names)

    def to_bytes(self) -> bytes:
        """JSON, with the weights in base64."""
        return json.dumps(
            {
                "kind": self.network,
                "names": self.names,
                "steps": self.steps,
                "width": self.width,
                "blocks": self.blocks,
                "denoise": self.denoise,
                **self.scaler.to_dict(),
                "weights": base64.b64encode(self.weights).decode(),
            }
        ).encode()

    @classmethod
    def from_dict(cls, saved: SavedModel) -> "DeepModel":
        """The inverse of `to_bytes`."""
        return cls(
            network=saved["kind"],
            names=tuple(saved["names"]),
            steps=int(saved["steps"]),
            width=int(saved["width"]),
            blocks=int(saved["blocks"]),
            denoise=bool(saved["denoise"]),
            scaler=Scaler.from_dict(saved),
            weights=base64.b64decode(saved["weights"]),
        )

    def _shapes(self) -> Shapes:
        inputs = len(self.names)
        return NETWORKS[self.network].shapes(steps=self.steps, inputs=inputs, width=self.width, blocks=self.blocks)

    def _arrays(self) -> list[Array]:
        """The weights, split into arrays. Raises ValueError if their number is not that of the network."""
        shapes = [shape for part in self._shapes().values() for shape in part.values()]
        values = np.frombuffer(self.weights, dtype="<f4")
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        if ends[-1] != len(values):
            raise ValueError(f"a {self.network} of this shape has {ends[-1]} weights, the saved one has {len(values)}")
        return [piece.reshape(shape) for piece, shape in zip(np.split(values, ends[:-1]), shapes, strict=True)]


@dataclass(frozen=True)
class _Scaled:
    scaler: Scaler
    sequences: Sequences


@dataclass(frozen=True)
class DeepClassifier:
    """A network to be trained with the settings of `config`. The journal lets a killed training resume."""

    name: ModelName
    config: DeepConfig = _DEFAULTS
    journal: FitJournal = NO_JOURNAL

    transform: ClassVar[Transform] = "sequence"
    label_kind: ClassVar[LabelKind] = "median"
    seeded: ClassVar[bool] = True
    library: ClassVar[str] = "foundry_tasks.models.deep.training"

    def prepare(self, inputs: Sequences, names: tuple[str, ...]) -> Prepared:
        """Fit the scaler. inputs: n_rows rows."""
        return Prepared(names, _Scaled(Scaler.of(inputs.known_values()), inputs), len(inputs))

    def fit(
        self,
        prepared: Prepared,
        target: Target,
        *,
        seeds: Sequence[int],
        stopping: Stopping | None = None,
        mapper: Mapper = map,  # noqa: ARG002 - a fit has all threads of the machine
    ) -> tuple[DeepModel, ...]:
        """Train once per seed, one seed after the other.

        A row without a target only appears in the windows of later rows. target: (n_rows,) or (n_rows, n_tasks), the sign
        first. Raises DegenerateTargetError if the sign has fewer than two classes, ConfigError if training diverges or
        collapses twice.
        """
        from foundry_tasks.models.deep.training import LearningRows, Training, plan_for  # noqa: PLC0415 - loads TensorFlow

        known = learnable(target)
        scaled: _Scaled = prepared.data
        steps, network = self.config.sequence_sessions, NETWORKS[self.name]
        plan, denoise = plan_for(self.config), network.denoise(self.config)
        tasks = tasks_of(self.name, self.config)
        rows = LearningRows(scaled.sequences[known], target[known], scaled.scaler, steps, tasks)
        training = Training(self.name, network, self.config, plan, rows, stopping, self.journal)
        fitted = []
        for seed in seeds:
            weights = training.fit(seed, name=_digest(self, prepared, target, stopping, seed))
            flat = np.concatenate([weight.ravel() for weight in weights]).astype("<f4").tobytes()
            fitted.append(
                DeepModel(self.name, prepared.names, steps, plan.width, plan.blocks, denoise, scaled.scaler, flat)
            )
        return tuple(fitted)


def need_training_backend() -> None:
    """Check that Keras and its backend are installed. Raises ConfigError if they are not."""
    from foundry_tasks.models.deep.keras_backend import BACKEND  # noqa: PLC0415 - sets environment variables

    if find_spec("keras") is not None and BACKEND != "numpy" and find_spec(BACKEND) is not None:
        return
    raise ConfigError(
        "deep models are trained by TensorFlow, which is not installed here. Install it by `make deep`, or leave "
        "lstm_transformer and xlstm_ts out of models."
    )


def _digest(estimator: DeepClassifier, prepared: Prepared, target: Target, stopping: Stopping | None, seed: int) -> str:
    """The name of a fit: equal for equal rows, targets, settings and seed, and different for every other fit of a stage."""
    scaled: _Scaled = prepared.data
    facts = [
        estimator.name,
        prepared.names,
        seed,
        {name: getattr(estimator.config, name) for name in DeepConfig.model_fields},
    ]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for array in (scaled.scaler.mean, scaled.sequences.session, scaled.sequences.ticker, target):
        digest.update(np.ascontiguousarray(array).tobytes())
    if stopping is not None:
        digest.update(np.ascontiguousarray(stopping.target).tobytes())
    return f"{estimator.name}-{digest.hexdigest()[:16]}"
