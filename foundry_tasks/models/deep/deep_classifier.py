"""A sequence model among the base models: its networks by name, how it is fitted, saved and read back.

Keras is imported when a network is built and no sooner: most runs have no deep model.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
import numpy.typing as npt

from foundry_tasks.contract.config import DeepConfig, DeepTask, LabelKind, ModelName
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.models.deep.journal import NO_JOURNAL, FitJournal
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.design import Scores, Transform
from foundry_tasks.models.estimator import Each, Prepared, Stopping, Target, learnable, shares
from foundry_tasks.models.scaler import Scaler

if TYPE_CHECKING:
    import keras


def _lstm_transformer(**arguments: Any) -> "keras.Model":
    from foundry_tasks.models.deep.lstm_transformer import build_lstm_transformer  # noqa: PLC0415 - Keras takes seconds

    return build_lstm_transformer(**arguments)


def _xlstm_ts(**arguments: Any) -> "keras.Model":
    from foundry_tasks.models.deep.xlstm_ts import build_xlstm_ts  # noqa: PLC0415 - as above

    return build_xlstm_ts(**arguments)


@dataclass(frozen=True)
class Network:
    """build(steps, inputs, width, blocks, dropout) → a keras.Model whose first weights project the inputs to the width.

    xla: whether XLA makes it faster on a GPU; Keras' own LSTM has a kernel there that XLA would replace by a slower one.
    tasks: what it has heads for; where those are several, build takes `tasks` too. denoises: whether build takes `denoise`.
    """

    build: Callable[..., "keras.Model"]
    xla: bool
    tasks: tuple[DeepTask, ...] = ("sign",)
    denoises: bool = False

    def denoise(self, config: DeepConfig) -> bool:
        """Whether this config has it see its windows denoised."""
        return self.denoises and config.denoise


NETWORKS: dict[str, Network] = {
    "lstm_transformer": Network(_lstm_transformer, xla=False, tasks=get_args(DeepTask)),
    "xlstm_ts": Network(_xlstm_ts, xla=True, denoises=True),
}


def tasks_of(name: ModelName, config: DeepConfig) -> tuple[DeepTask, ...]:
    """What a base model learns, the sign first: of `deep_tasks` whatever its network has a head for."""
    heads = NETWORKS[name].tasks if name in NETWORKS else ("sign",)
    return tuple(task for task in heads if task in config.deep_tasks)


_DEFAULTS = DeepConfig()
_SCORING = threading.Lock()
"""One network of a shape scores for all models of it, and they take turns: tracing takes longer than scoring."""


@lru_cache(maxsize=4)
def _scoring_network(
    network: Network, steps: int, inputs: int, width: int, blocks: int, denoise: bool
) -> "keras.Model":
    more = {"denoise": True} if denoise else {}
    with np.errstate(all="ignore"):  # Keras' numpy backend tries shapes on memory as it finds it
        built = network.build(steps=steps, inputs=inputs, width=width, blocks=blocks, **more)
    built.compile(jit_compile=False)
    return built


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

    def score(self, inputs: Sequences, *, threads: int = 1) -> Scores:  # noqa: ARG002 - the backend has threads of its own
        """n_rows → (n_rows,) log-odds, the same within 1e-5 on every backend of Keras; of denoised windows within 1e-4."""
        from foundry_tasks.models.deep.scoring import score_sessions  # noqa: PLC0415 - Keras takes seconds

        with _SCORING:
            network = _scoring_network(
                NETWORKS[self.network], self.steps, len(self.names), self.width, self.blocks, self.denoise
            )
            network.set_weights(self._arrays([weight.shape for weight in network.weights]))
            return score_sessions(network, inputs, self.scaler, self.steps)

    def gain(self) -> Mapping[str, float]:
        """Shares of the norms of the weights that an input enters by; inputs are on one scale."""
        (projection,) = self._arrays([(len(self.names), self.width)], rest=True)
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
    def from_dict(cls, saved: Mapping[str, Any]) -> "DeepModel":
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

    def _arrays(self, shapes: Sequence[tuple[int, ...]], *, rest: bool = False) -> list[npt.NDArray[np.float32]]:
        """The weights, cut into arrays of these shapes. Raises ValueError where they are not as many."""
        values = np.frombuffer(self.weights, dtype="<f4")
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        if ends[-1] != len(values) and not rest:
            raise ValueError(f"a {self.network} of this shape has {ends[-1]} weights, the saved one has {len(values)}")
        pieces = np.split(values, ends)[:-1]
        return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


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
        each: Each = map,  # noqa: ARG002 - a fit has all threads of the machine
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
    if find_spec("keras") is not None:
        import foundry_tasks.models.deep.keras_backend  # noqa: F401, PLC0415 - before Keras

        # isort: split
        import keras  # noqa: PLC0415 - takes seconds

        if keras.backend.backend() != "numpy":
            return
    raise ConfigError(
        "deep models are trained by TensorFlow, which is not installed here. Install it by `make deep`, or leave "
        "lstm_transformer and xlstm_ts out of models."
    )


def _digest(estimator: DeepClassifier, prepared: Prepared, target: Target, stopping: Stopping | None, seed: int) -> str:
    """The name of a fit: equal for a fit to the same targets with the same settings, and for no other of a stage."""
    scaled: _Scaled = prepared.data
    said = [
        estimator.name,
        prepared.names,
        seed,
        {name: getattr(estimator.config, name) for name in DeepConfig.model_fields},
    ]
    digest = hashlib.sha256(json.dumps(said).encode())
    for array in (scaled.scaler.mean, scaled.sequences.session, scaled.sequences.ticker, target):
        digest.update(np.ascontiguousarray(array).tobytes())
    if stopping is not None:
        digest.update(np.ascontiguousarray(stopping.target).tobytes())
    return f"{estimator.name}-{digest.hexdigest()[:16]}"
