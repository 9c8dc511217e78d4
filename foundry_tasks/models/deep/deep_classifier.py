"""A sequence model among the base models: its networks by name, how it is fitted, saved, read back and scored.

Keras is imported when a network is built for training, and never to score one: a saved network is scored by NumPy alone.
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
    from foundry_tasks.models.deep.lstm_transformer import build_lstm_transformer  # noqa: PLC0415 - Keras takes seconds

    return build_lstm_transformer(**arguments)


def _xlstm_ts(**arguments: Unpack[_XLSTMOptions]) -> "keras.Model":
    from foundry_tasks.models.deep.xlstm_ts import build_xlstm_ts  # noqa: PLC0415 - as above

    return build_xlstm_ts(**arguments)


@dataclass(frozen=True)
class Network:
    """How Keras builds a network to train it, and the forward pass in NumPy that scores it once it is saved.

    build(steps, inputs, width, blocks, dropout) → a keras.Model whose first weights project the inputs to the width.
    shapes(steps, inputs, width, blocks) → those of the saved weights. log_odds(windows, weights) → (batch,).
    xla: whether XLA makes it faster on a GPU; Keras' own LSTM has a kernel there that XLA would replace by a slower one.
    tasks: what it has heads for; where those are several, build takes `tasks` too. denoises: whether build and log_odds take
    `denoise`.
    """

    build: Callable[..., "keras.Model"]
    shapes: Callable[..., Shapes]
    log_odds: Callable[..., Array]
    xla: bool
    tasks: tuple[DeepTask, ...] = ("sign",)
    denoises: bool = False

    def denoise(self, config: DeepConfig) -> bool:
        """Whether this config has it see its windows denoised."""
        return self.denoises and config.denoise


NETWORKS: dict[str, Network] = {
    "lstm_transformer": Network(
        _lstm_transformer, lstm_transformer.shapes, lstm_transformer.log_odds, xla=False, tasks=get_args(DeepTask)
    ),
    "xlstm_ts": Network(_xlstm_ts, xlstm_ts.shapes, xlstm_ts.log_odds, xla=True, denoises=True),
}


def tasks_of(name: ModelName, config: DeepConfig) -> tuple[DeepTask, ...]:
    """What a base model learns, the sign first: of `deep_tasks` whatever its network has a head for."""
    heads = NETWORKS[name].tasks if name in NETWORKS else ("sign",)
    return tuple(task for task in heads if task in config.deep_tasks)


_DEFAULTS = DeepConfig()


@dataclass(frozen=True)
class DeepModel:
    """A fitted network: what it is built with, and its weights as they follow each other, float32."""

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
        """All steps of a window but the last."""
        return self.steps - 1

    def score(self, inputs: Sequences, *, threads: int = 1) -> Scores:
        """n_rows → (n_rows,) log-odds by NumPy, equal to those of the trained network in Keras but for float32's rounding.

        That is within 1e-5, and up to 3e-5 where the last bit of an input moves them by as much.
        """
        network, weights = NETWORKS[self.network], iter(self._arrays())
        parts = {part: {name: next(weights) for name in shapes} for part, shapes in self._shapes().items()}
        log_odds = partial(network.log_odds, weights=parts, **({"denoise": True} if self.denoise else {}))
        return score_sessions(in_chunks(log_odds), inputs, self.scaler, self.steps, threads=threads)

    def gain(self) -> Mapping[str, float]:
        """Shares of the norms of the weights that an input enters by; inputs are on one scale."""
        projection = self._arrays()[0]
        return shares(np.linalg.norm(projection, axis=1), self.names)

    def to_bytes(self) -> bytes:
        """JSON around the weights in base64."""
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
        """What `to_bytes` wrote."""
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
        """The weights, cut into arrays. Raises ValueError where they are not as many as the network has."""
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
    """A network, trained as the config says; the journal lets a killed training go on."""

    name: ModelName
    config: DeepConfig = _DEFAULTS
    journal: FitJournal = NO_JOURNAL

    transform: ClassVar[Transform] = "sequence"
    label_kind: ClassVar[LabelKind] = "median"
    seeded: ClassVar[bool] = True
    library: ClassVar[str] = "foundry_tasks.models.deep.training"

    def prepare(self, inputs: Sequences, names: tuple[str, ...]) -> Prepared:
        """Learn the scaler."""
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
        """Train, once a seed, one after the other. Rows without a target are not seen but as the past of others."""
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
    """Raises ConfigError where nothing is installed that could train a network."""
    from foundry_tasks.models.deep.keras_backend import BACKEND  # noqa: PLC0415 - sets this process up for TensorFlow

    if find_spec("keras") is not None and BACKEND != "numpy" and find_spec(BACKEND) is not None:
        return
    raise ConfigError(
        "deep models are trained by TensorFlow, which is not installed here. Install it by `make deep`, or leave "
        "lstm_transformer and xlstm_ts out of models."
    )


def _digest(estimator: DeepClassifier, prepared: Prepared, target: Target, stopping: Stopping | None, seed: int) -> str:
    """The name of a fit: equal for a fit to the same targets with the same settings, and for no other of a stage."""
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
