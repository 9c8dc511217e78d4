"""Runs one stage: reuses an earlier result or computes it, writes the result last, and adds a line to the run log."""

import errno
import hashlib
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from types import ModuleType

from pydantic import ValidationError

from foundry_tasks.adapters.stores import fetch
from foundry_tasks.contract import artifacts
from foundry_tasks.contract.config import StageConfig
from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError, FoundryError, TransientError
from foundry_tasks.contract.identity import Identity
from foundry_tasks.contract.market import DEFAULT_MARKET, with_market
from foundry_tasks.contract.plain import Conf, ConfValue
from foundry_tasks.contract.ports import Expectations, Registry, Store
from foundry_tasks.contract.results import Artifact, StageResult
from foundry_tasks.contract.stage_io import Code, Environment, StageIO
from foundry_tasks.contract.stages import (
    MARKET_STAGES,
    PIPELINES,
    STAGES,
    check_conf,
    inputs_in,
    recent_sessions,
    sharing_conf,
    stage_config,
)
from foundry_tasks.contract.steps import Progress
from foundry_tasks.contract.user_files import UserFiles
from foundry_tasks.runtime.import_clock import ImportClock

PACKAGE = Path(__file__).resolve().parents[1]
_NUMERICAL_LIBRARIES = ("numpy", "pandas", "pyarrow", "scikit-learn", "xgboost", "bottleneck")
"""XGBoost fits the meta-learner. The modules of base models name their own libraries."""
_BEFORE_MODELS = STAGES["models"].inputs


@dataclass(frozen=True)
class RunContext:
    """Settings, adapters and clocks that a stage runs with."""

    settings: Settings
    store: Store
    expectations: Expectations
    registry: Registry
    progress: Progress
    now: Callable[[], datetime]
    started: float
    """`time.perf_counter()` when the process began its work."""
    imports: ImportClock = field(default_factory=ImportClock)


@cache
def code_version() -> str:
    """The package's version and a hash of its sources, so that edited sources are another version."""
    return f"{metadata.version('foundry-tasks')}+{sources_digest(PACKAGE)}"


def sources_digest(package: Path) -> str:
    """Hash of a package's sources, 12 digits."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def is_release(package: Path) -> bool:
    """Whether a package's sources are those of a release: `make changelog` writes their hash into the file RELEASE."""
    marker = package / "RELEASE"
    return marker.is_file() and marker.read_text().strip() == sources_digest(package)


@cache
def library_versions(stage: str) -> dict[str, str]:
    """Versions of the libraries that can change the figures of a stage's result."""
    libraries = {*_NUMERICAL_LIBRARIES}
    if stage not in _BEFORE_MODELS:
        from foundry_tasks.models.base_models import PACKAGES  # noqa: PLC0415 - earlier stages start without it

        libraries |= {*PACKAGES}
    return {name: metadata.version(name) for name in sorted(libraries)} | {"python": sys.version.split()[0]}


def execute(identity: Identity, conf: Conf, context: RunContext) -> StageResult:
    """Run a stage and publish its result. An error of the stage is written to the run log and raised."""
    with _logged(identity, context) as line:
        if identity.shard and not STAGES[identity.stage].mapped:
            raise ConfigError(f"stage {identity.stage} is not mapped: leave --shard {identity.shard} out.")
        checked = _checked(identity.stage, conf, context.settings.markets)
        if identity.stage in {"prices", "gates"} and "gates" in PIPELINES.get(identity.dag, STAGES):
            _refuse_looser(checked, context.store)
        config = stage_config(identity.stage, checked)
        with _workspace(identity.stage) as workspace:
            io = StageIO.of(identity, _environment(context, workspace), workspace, context.progress)
            inputs = _inputs(io)
            module = importlib.import_module(f"foundry_tasks.stages.{identity.stage}")
            imported = context.imports.seconds
            io.steps.elapsed_s["start"] = time.perf_counter() - context.started
            digest = _reuse_digest(
                identity, inputs, config.model_dump(mode="json"), _outside_digest(module, config, io)
            )
            previous = _reusable(context.store, identity.stage, digest)
            if previous is None:
                io.checkpoints.prefix = artifacts.checkpoint_prefix(identity.stage, digest) if digest else None
                module.run(config, io)
            else:
                _take_over(io, previous)
            io.steps.elapsed_s["start"] += context.imports.seconds - imported
            io.steps.elapsed_s["total"] = time.perf_counter() - context.started
            result = _result(io, config, inputs, previous)
        document = result.model_dump_json().encode()
        context.store.write(
            artifacts.result_key(identity.dag, identity.run_id, identity.stage, identity.shard), document
        )
        if digest is not None and previous is None:
            context.store.write(artifacts.reuse_key(identity.stage, digest), document)
        line |= {
            "status": result.status,
            "date": result.as_of.isoformat(),
            "warnings": result.warnings,
            "stats": {"elapsed_s": result.elapsed_s["total"]},
        }
    return result


def _environment(context: RunContext, workspace: Path) -> Environment:
    return Environment(
        store=context.store,
        expectations=context.expectations,
        registry=context.registry,
        code=Code(code_version(), context.settings.image_digest, is_release(PACKAGE)),
        now=context.now,
        files=UserFiles(partial(fetch, context.settings), workspace / "fetched", context.settings.secret),
    )


def _checked(stage: str, conf: Conf, markets: str) -> Conf:
    """`conf`, validated for all stages that share it; merged over its market's defaults where `stage` has a market."""
    sharing = sharing_conf(stage)
    if stage in MARKET_STAGES or not sharing:
        return with_market(conf, markets)
    check_conf(conf, sharing)
    return conf


def _refuse_looser(conf: Conf, store: Store) -> None:
    """Raise ConfigError if a conf, merged over its market file, is looser than the market's policy."""
    from foundry_tasks.contract.policy import refuse_looser  # noqa: PLC0415 - two stages need it, all others start without
    from foundry_tasks.ledger.chain import EvidenceLog  # noqa: PLC0415 - as above

    market = str(conf.get("market", DEFAULT_MARKET))
    refuse_looser(conf, EvidenceLog(store).state().pending_policy(market), market)


def _result(io: StageIO, config: StageConfig, inputs: dict[str, str], previous: StageResult | None) -> StageResult:
    """The stage's result, from the outputs in `io`."""
    config_json = config.model_dump(mode="json")
    return StageResult(
        dag=io.identity.dag,
        run_id=io.identity.run_id,
        stage=io.identity.stage,
        shard=io.identity.shard,
        as_of=_as_of(io),
        status="warn" if io.outputs.warnings else "ok",
        inputs=inputs,
        outputs=io.outputs.artifacts,
        outputs_digest=artifacts.outputs_digest({name: item.sha256 for name, item in io.outputs.artifacts.items()}),
        metrics=io.outputs.metrics,
        warnings=io.outputs.warnings,
        config=config_json,
        config_digest=artifacts.digest_of(config_json),
        code_version=io.environment.code.version,
        image_digest=io.environment.code.image_digest,
        seed=config_json.get("seed"),
        elapsed_s={step: round(seconds, 3) for step, seconds in io.steps.elapsed_s.items()},
        reused_from=previous.run_id if previous else None,
    )


def _as_of(io: StageIO) -> date:
    """The last session of the run's prices; the run's own as-of where it has no prices."""
    prices = io.inputs.find("prices") if STAGES[io.identity.stage].inputs else None
    return prices.as_of if prices else io.outputs.as_of or io.identity.as_of


def _inputs(io: StageIO) -> dict[str, str]:
    """Stage and shard → outputs digest of the upstream result. A skipped stage has none."""
    found = {}
    for stage in inputs_in(io.identity.dag, io.identity.stage):
        for result in io.inputs.shards(stage):
            found[stage if result.shard is None else f"{stage}/{result.shard}"] = result.outputs_digest
    return found


def _outside_digest(module: ModuleType, config: StageConfig, io: StageIO) -> str | None:
    """Digest of the data that the stage reads outside the store. None: unknown, so no result is reused."""
    found: str | None = module.fingerprint(config, io) if hasattr(module, "fingerprint") else ""
    return found


def _reuse_digest(identity: Identity, inputs: Mapping[str, str], config: Conf, outside: str | None) -> str | None:
    if not STAGES[identity.stage].pure or outside is None:
        return None
    return artifacts.digest_of(
        {
            "stage": identity.stage,
            "shard": identity.shard,
            "inputs": inputs,
            "config": config,
            "outside": outside,
            "code": code_version(),
            "libraries": library_versions(identity.stage),
            "as_of": identity.as_of if identity.stage == "prices" else None,
            "recent_sessions": recent_sessions(identity.dag),
        }
    )


def _reusable(store: Store, stage: str, digest: str | None) -> StageResult | None:
    """The published result of the same work, None if there is none or the store lacks one of its objects."""
    document = None if digest is None else store.read(artifacts.reuse_key(stage, digest))
    if document is None:
        return None
    try:
        result = StageResult.model_validate_json(document)
    except ValidationError:
        return None
    present = (store.has_object(item.sha256) for item in result.outputs.values())
    return result if all(present) else None


def _take_over(io: StageIO, previous: StageResult) -> None:
    io.outputs.artifacts |= {name: Artifact.model_validate(item) for name, item in previous.outputs.items()}
    io.outputs.metrics |= previous.metrics
    io.outputs.warnings += previous.warnings
    io.outputs.as_of = previous.as_of


@contextmanager
def _logged(identity: Identity, context: RunContext) -> Iterator[dict[str, ConfValue]]:
    """Write one line to the run log, also after an error."""
    line: dict[str, ConfValue] = {
        "run_id": identity.run_id,
        "stage": identity.stage,
        "shard": identity.shard,
        "status": "error",
        "date": identity.as_of.isoformat(),
        "timestamp": context.now().astimezone(UTC).isoformat(timespec="seconds"),
    }
    try:
        yield line
    except BaseException as error:
        skipped = isinstance(error, FoundryError) and error.exit_code == 99
        line |= {"status": "ok" if skipped else "error", "warnings": [_sentence(error)]}
        line["stats"] = {"elapsed_s": round(time.perf_counter() - context.started, 3)}
        with suppress(FoundryError):  # the error of the stage is raised, not one of the log
            _log(identity, context.store, line)
        raise
    _log(identity, context.store, line)


def _log(identity: Identity, store: Store, line: Conf) -> None:
    store.append(artifacts.run_log_key(identity.dag, identity.run_id), json.dumps(line).encode())


def _sentence(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"stopped from outside (exit code {error.code})"
    return str(error) if isinstance(error, FoundryError) else f"{type(error).__name__}: {error}"


@contextmanager
def _workspace(stage: str) -> Iterator[Path]:
    """An empty folder, deleted afterwards. A full disk raises TransientError; the store raises its own errors."""
    try:
        made = tempfile.TemporaryDirectory(prefix=f"foundry-{stage}-")
    except OSError as error:
        raise TransientError(
            f"no workspace for the stage: {error.strerror}. Free space there or set TMPDIR."
        ) from error
    with made as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise
            raise TransientError(
                f"no room left for the stage's workspace ({folder}). Free space there or set TMPDIR; the run can then be "
                "repeated."
            ) from error
