"""Training of a network: batches of whole sessions, a warm-up–cosine learning rate, a saved state after every epoch.

Two fits with the same seed on one machine give the same bits, and so does a fit that was killed between two epochs and
resumed from its state: random draws depend on seed and epoch alone.
"""

import io
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial

import foundry_tasks.models.deep.keras_backend  # noqa: F401 - before Keras

# isort: split
import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from foundry_tasks.contract.config import DeepConfig, DeepLoss, DeepSize, DeepTask
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.evaluation.collapse import collapse_of
from foundry_tasks.models.deep.deep_classifier import Network
from foundry_tasks.models.deep.journal import FitJournal
from foundry_tasks.models.deep.keras_types import SavedConfig, Tensor
from foundry_tasks.models.deep.losses import losses_of
from foundry_tasks.models.deep.scoring import score_sessions
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.estimator import Stopping, Target
from foundry_tasks.models.scaler import Scaler
from foundry_tasks.models.session_auc import mean_session_auc

Weights = list[npt.NDArray[np.float32]]

BATCH_ROWS = 512
"""A batch has as many whole sessions as are needed to hold at least this many rows on average."""
XLA_ROWS = 64
"""XLA compiles once per shape: with it, a batch has a multiple of this many rows; the other rows are skipped in the epoch."""
DROPOUT = 0.1
WEIGHT_DECAY = 1e-2
CLIP_NORM = 1.0
WARM_UP_SHARE = 0.1
"""Share of all steps in which the learning rate rises."""
PATIENCE_EPOCHS = 3
"""Epochs without a better AUC on the stopping window after which a fit stops."""
JUDGED_SESSIONS = 20
"""Number of last fit sessions whose scores are checked for a collapse if there is no stopping window."""
OTHER_TASK_WEIGHT = 0.1
"""Weight of a loss other than the sign's. Measured unweighted gradient in the shared layers: 0.5 to 1 times the sign's."""
RESTART_SEED = 1_000_003
"""Added to the seed for the second attempt after a collapse."""


@dataclass(frozen=True)
class Size:
    """Width and number of blocks of a network, and the number of epochs."""

    width: int
    blocks: int
    epochs: int


SIZES: dict[DeepSize, Size] = {"small": Size(width=32, blocks=2, epochs=4), "full": Size(width=64, blocks=4, epochs=10)}


@dataclass(frozen=True)
class Plan:
    """Device and size of a training, from the config and this machine."""

    device: str
    """`CPU`, or the name of the GPU."""
    size: DeepSize
    width: int
    blocks: int
    epochs: int

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device != "CPU"


def plan_for(config: DeepConfig) -> Plan:
    """The plan on this machine. Default size: full on a GPU, small on a CPU."""
    device = _device()
    size: DeepSize = config.deep_size or ("small" if device == "CPU" else "full")
    shape = SIZES[size]
    return Plan(device, size, shape.width, shape.blocks, config.deep_epochs or shape.epochs)


def gpus() -> list[str]:
    """Keras' names of the GPUs."""
    # JAX raises an error if there is none.
    try:
        found: list[str] = keras.distribution.list_devices("gpu")
    except RuntimeError:
        return []
    return found


def _device() -> str:
    found = gpus()
    if not found:
        return "CPU"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415 - other backends lack it

        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        return str(details.get("device_name", found[0]))
    return str(found[0])


@dataclass(frozen=True)
class LearningRows:
    """Rows that have a target, and the scaler of their windows.

    target: (n_rows,) 0 or 1, or (n_rows, n_tasks) for several tasks: the sign first, NaN where another task has no target.
    steps: sessions in a window.
    """

    sequences: Sequences
    target: Target
    scaler: Scaler
    steps: int
    tasks: tuple[DeepTask, ...] = ("sign",)


class SessionBatches(keras.utils.PyDataset):
    """An epoch: every session once, in random order, in batches of whole sessions.

    A batch is the windows (n, steps, inputs) and, for each head, (n, 2): the target and the number of the row's session in
    the batch, for losses that compare the rows of a session. multiple: n is a multiple of it where possible.
    """

    def __init__(self, rows: LearningRows, *, rng: np.random.Generator, multiple: int = 1) -> None:
        super().__init__()
        self._rows = rows
        sessions = [np.arange(one.start, one.stop) for one in rows.sequences.by_session()]
        n_batches = batches_of(rows)
        self._batches = []
        for chosen in np.array_split(rng.permutation(len(sessions)), n_batches):
            places = np.concatenate([sessions[one] for one in chosen])
            slots = np.repeat(np.arange(len(chosen)), [len(sessions[one]) for one in chosen])
            kept = np.sort(rng.permutation(len(places))[: max(len(places) // multiple, 1) * multiple])
            self._batches.append((places[kept], slots[kept]))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.float32], dict[str, npt.NDArray[np.float32]]]:
        places, slots = self._batches[index]
        rows = self._rows
        windows = rows.scaler.apply(rows.sequences[places].windows(rows.steps))
        targets = dict(zip(rows.tasks, np.atleast_2d(rows.target[places].T), strict=True))
        return windows, {task: np.stack([y, slots], axis=1).astype(np.float32) for task, y in targets.items()}


def batches_of(rows: LearningRows) -> int:
    """Number of batches in an epoch."""
    n_sessions = sum(1 for _ in rows.sequences.by_session())
    sessions_a_batch = -(-BATCH_ROWS * n_sessions // len(rows.sequences))
    return max(n_sessions // sessions_a_batch, 1)


@dataclass
class Course:
    """State of a fit. best: `_scoring_weights` after the epoch with the highest AUC on the stopping window; empty without one."""

    epochs_done: int = 0
    best_auc: float = -np.inf
    best_epoch: int = 0
    best: Weights = field(default_factory=list)


@dataclass(frozen=True)
class Training:
    """Everything that is common to the fits of one model to one target."""

    model: str
    network: Network
    config: DeepConfig
    plan: Plan
    rows: LearningRows
    stopping: Stopping | None
    journal: FitJournal

    def fit(self, seed: int, *, name: str) -> Weights:
        """Train a network and return the weights that scoring needs. After a collapse, train once more with another seed.

        name: of the fit in the journal. Raises ConfigError if the second attempt collapses too, or if the loss or the scores
        are not finite.
        """
        try:
            return self._try(seed, name)
        except _CollapsedError:
            return self._try(seed + RESTART_SEED, f"{name}-again")

    def _try(self, seed: int, name: str) -> Weights:
        network = self._begin(seed)
        course = Course()
        if (state := self.journal.load(name)) is not None:
            course = _restore(network, state)
        for _ in range(course.epochs_done):
            self.journal.advance(f"{self.model} seed {seed} kept by an earlier try")
        while course.epochs_done < self.plan.epochs and not self._stopped(course):
            loss = self._epoch(network, np.random.default_rng([seed, course.epochs_done]))
            course.epochs_done += 1
            self._judge(network, course, loss)
            self.journal.save(name, _state(network, course))
            self.journal.advance(f"{self.model} seed {seed} epoch {course.epochs_done}, loss {loss:.4f}")
        for _ in range(course.epochs_done, self.plan.epochs):
            self.journal.advance(f"{self.model} seed {seed} stopped after epoch {course.best_epoch}")
        return course.best or _scoring_weights(network)

    def _begin(self, seed: int) -> keras.Model:
        """The compiled network, reset to the state before the first step, with weights drawn from `seed`."""
        rows, plan = self.rows, self.plan
        inputs, denoise = rows.sequences.panel.shape[2], self.network.denoise(self.config)
        shape = _Shape(self.network, rows.tasks, rows.steps, inputs, plan.width, plan.blocks, denoise)
        compiled = _compiled(shape, self.config.precision, self.config.deep_loss, self.config.learning_rate, self._xla)
        # Keras draws the seeds of initialisers and dropout from `random`. tf.random.set_seed would discard compiled functions.
        random.seed(seed)
        drawn = shape.build(self.config.precision)
        for variable, value in zip(compiled.network.variables, drawn.variables, strict=True):
            variable.assign(value)
        for variable, value in zip(compiled.network.optimizer.variables, compiled.untouched, strict=True):
            variable.assign(value)
        compiled.rate.steps.assign(plan.epochs * batches_of(rows))
        return compiled.network

    @property
    def _xla(self) -> bool:
        return self.plan.on_gpu and self.network.xla

    def _epoch(self, network: keras.Model, rng: np.random.Generator) -> float:
        batches = SessionBatches(self.rows, rng=rng, multiple=XLA_ROWS if self._xla else 1)
        if keras.backend.backend() != "tensorflow":
            network.train_function = None  # other backends compile the length of the schedule in
        return float(network.fit(batches, verbose=0, shuffle=False).history["loss"][0])

    def _judge(self, network: keras.Model, course: Course, loss: float) -> None:
        """Check the network after an epoch and, with a stopping window, record the best epoch.

        Raises ConfigError if the loss or a score is not finite, _CollapsedError if the scores have collapsed.
        """
        config, epoch, rows, stopping = self.config, course.epochs_done, self.rows, self.stopping
        last = rows.sequences.session[-1] - JUDGED_SESSIONS
        judged = rows.sequences[rows.sequences.session > last] if stopping is None else stopping.inputs
        scores = score_sessions(partial(_log_odds, network), judged, rows.scaler, rows.steps)
        if not (np.isfinite(loss) and np.isfinite(scores).all()):
            raise ConfigError(
                f"{self.model}: loss {config.deep_loss} or scores are not finite after epoch {epoch} with precision="
                f"{config.precision}. Set precision=float32, or a learning_rate below {config.learning_rate:g}."
            )
        report = collapse_of(scores, judged.session)
        if report.collapsed:
            raise _CollapsedError(
                f"{self.model} has collapsed in epoch {epoch}, and also with another seed: {report.why}. Set another "
                f"deep_loss than {config.deep_loss}, or a learning_rate below {config.learning_rate:g}."
            )
        if stopping is not None:
            auc = mean_session_auc(scores, stopping.target, stopping.session)
            if auc > course.best_auc:
                course.best_auc, course.best_epoch = auc, epoch
                course.best = _scoring_weights(network)

    def _stopped(self, course: Course) -> bool:
        return course.best_epoch > 0 and course.epochs_done - course.best_epoch >= PATIENCE_EPOCHS


class _CollapsedError(ConfigError):
    """The scores of the network hardly differ between tickers."""


def _log_odds(network: keras.Model, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Log-odds (batch,) in the precision and on the device of the training."""
    prediction: npt.NDArray[np.float32] = np.asarray(network.predict_on_batch(windows)["sign"])[:, 0]
    return prediction


def _scoring_weights(network: keras.Model) -> Weights:
    """The weights that the head "sign" depends on; the other heads are only needed in training."""
    scoring = keras.Model(network.input, {"sign": network.output["sign"]})
    return [np.asarray(weight, dtype=np.float32) for weight in scoring.get_weights()]


# ------------------------------------------------------------------ a network that is compiled once
class WarmUpCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to `peak` over WARM_UP_SHARE of the steps, then half a cosine to 0. Loshchilov and Hutter (2017).

    The number of steps is a variable: fits of different lengths use the same compiled step.
    """

    def __init__(self, peak: float) -> None:
        self.peak = peak
        self.steps = keras.Variable(1.0, trainable=False, dtype="float32")

    def __call__(self, step: Tensor) -> Tensor:
        """The learning rate of a step, counted from 0."""
        done = (ops.cast(step, "float32") + 1.0) / (self.steps + 1.0)
        cooling = 0.5 * (1.0 + ops.cos(np.pi * (done - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)))
        return self.peak * ops.where(done < WARM_UP_SHARE, done / WARM_UP_SHARE, cooling)

    def get_config(self) -> SavedConfig:
        """Constructor arguments of an equal schedule."""
        return {"peak": self.peak}


@dataclass(frozen=True)
class _Shape:
    network: Network
    tasks: tuple[DeepTask, ...]
    steps: int
    inputs: int
    width: int
    blocks: int
    denoise: bool

    def build(self, precision: str) -> keras.Model:
        """A new network with newly drawn weights."""
        arguments = {"steps": self.steps, "inputs": self.inputs, "width": self.width, "blocks": self.blocks}
        more: dict[str, tuple[DeepTask, ...] | bool] = {"tasks": self.tasks} if len(self.tasks) > 1 else {}
        if self.denoise:
            more["denoise"] = True
        with _policy(precision):
            return self.network.build(**arguments, **more, dropout=DROPOUT)


@dataclass(frozen=True)
class _Compiled:
    """A compiled network. untouched: the optimizer's variables before its first step."""

    network: keras.Model
    rate: WarmUpCosine
    untouched: list[npt.NDArray[np.generic]]


@lru_cache(maxsize=2)
def _compiled(shape: _Shape, precision: str, loss: DeepLoss, learning_rate: float, xla: bool) -> _Compiled:
    """The compiled network, cached for all fits: tracing a step can take longer than a fit."""
    jax = keras.backend.backend() == "jax"
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415 - other backends lack it

        tf.config.experimental.enable_op_determinism()
    network, rate = shape.build(precision), WarmUpCosine(learning_rate)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=CLIP_NORM)
    weights = {task: 1.0 if task == "sign" else OTHER_TASK_WEIGHT for task in shape.tasks}
    network.compile(optimizer, losses_of(shape.tasks, loss), loss_weights=weights, jit_compile=jax or xla)
    network.optimizer.build(network.trainable_variables)
    return _Compiled(network, rate, [np.asarray(variable) for variable in network.optimizer.variables])


@contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Layers that are made in this context compute matrix products in `precision`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


# ------------------------------------------------------------------ the state of a fit, as bytes
def _state(network: keras.Model, course: Course) -> bytes:
    """Weights, random generators of dropout, optimizer and course, in NumPy's npz format; never a pickle."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "course": np.array([course.epochs_done, course.best_epoch, course.best_auc])
    }
    arrays |= {f"best{place}": weight for place, weight in enumerate(course.best)}
    arrays |= {f"variable{place}": np.asarray(variable) for place, variable in enumerate(_variables(network))}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _restore(network: keras.Model, state: bytes) -> Course:
    """The inverse of `_state`. network: compiled with the same settings; its variables are set."""
    with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
        for place, variable in enumerate(_variables(network)):
            variable.assign(arrays[f"variable{place}"])
        epochs_done, best_epoch, best_auc = arrays["course"]
        best = [arrays[name] for name in arrays.files if name.startswith("best")]
    return Course(int(epochs_done), float(best_auc), int(best_epoch), best)


def _variables(network: keras.Model) -> list[keras.Variable]:
    return [*network.variables, *network.optimizer.variables]
