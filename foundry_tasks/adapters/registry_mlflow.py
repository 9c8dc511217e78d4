"""MLflow's model registry: versions with their evidence, aliases, bundles.

MLflow is imported at the first call. If it does not answer, TransientError is raised; if it refuses, ConfigError.
"""

import fcntl
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from foundry_tasks.adapters.pyfunc_model import BUNDLE_FILE, save_pyfunc, write_evidence
from foundry_tasks.contract.artifacts import digest_of, sha256_of
from foundry_tasks.contract.errors import ConfigError, FoundryError, TransientError
from foundry_tasks.contract.ports import ModelVersion, Registration

EXPERIMENT = "foundry"
SHA256_TAG, IDENTITY_TAG, HEAD_TAG = "foundry.sha256", "foundry.identity", "foundry.ledger_head"
VERSION_TAG = "foundry.version"
"""Tag with the ledger's number. A version that is made again gets a new number, since MLflow never reuses numbers."""
_SHOWN_TAG = "mlflow.modelVersions"
"""Tag of a logged model: the versions that MLflow's pages show for it."""
_SQLITE = "sqlite:///"
_LOST_RACES = 5
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # it would log the lock file of the working directory
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""MLflow's default waits four minutes. Airflow retries the stage, so a short wait is enough."""
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_PRESENT = {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}
_REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "PERMISSION_DENIED", "UNAUTHENTICATED", *_ABSENT, *_PRESENT}


class MlflowRegistry:
    """Implements `contract.ports.Registry` on an MLflow server, or on a database and a folder."""

    def __init__(self, uri: str, artifacts: str, username: str | None = None, password: str | None = None) -> None:
        """uri: http(s) address, or a database URI. artifacts: folder of the files, unused with a server."""
        self.uri = uri
        self._artifacts = artifacts
        self._login = {"MLFLOW_TRACKING_USERNAME": username, "MLFLOW_TRACKING_PASSWORD": password}

    # ------------------------------------------------------------ versions
    def register(self, wanted: Registration) -> ModelVersion:
        """Log a bundle with its evidence. If several callers register the same bundle at once, the lowest number wins."""
        identity = digest_of({"sha256": wanted.sha256, "evidence": wanted.evidence})
        with _answering(self.uri):
            if self._ensure_model(wanted.model):
                found = self._same(wanted, identity)
                if found:
                    return found[0]
                self._delete_misnumbered(wanted, identity)
            created = self._log(wanted, identity)
            first = self._same(wanted, identity)[0]
            if first.registry_number != created:  # another caller registered it first
                self._delete(wanted.model, created)
            return first

    def has_files_of(self, model: str, version: int, sha256: str) -> bool:
        """Whether there is a logged model with this version and digest whose files exist."""
        with _answering(self.uri):
            return self._logged(model, version, sha256) is not None

    def register_again(self, model: str, version: int, sha256: str, taken: Mapping[int, str]) -> ModelVersion:
        """Make a version from files that were logged before. Raises ConfigError if MLflow no longer has them."""
        with _answering(self.uri):
            logged = self._logged(model, version, sha256)
            if logged is None:
                raise ConfigError(f"MLflow at {self.uri} no longer has the files of {model} version {version}.")
            self._ensure_model(model)
            self._create(model, logged, logged.source_run_id, logged.tags, version=version, taken=taken)
            first, *twins = [found for found in self._search(model, f"name='{model}'") if found.version == version]
            for twin in twins:
                self._delete(model, twin.registry_number)
            return first

    def delete(self, version: ModelVersion) -> None:
        """Delete MLflow's version. Its run and files stay until `mlflow gc`."""
        with _answering(self.uri):
            self._delete(version.model, version.registry_number)

    def versions(self, model: str) -> Sequence[ModelVersion]:
        """All versions, oldest first; empty if the model is not registered."""
        with _answering(self.uri):
            return self._search(model, f"name='{model}'")

    def alias(self, model: str, name: str) -> ModelVersion | None:
        """The version with this alias, or None."""
        with _answering(self.uri):
            aliases = self._aliases(model)
            if name not in aliases:
                return None
            return _version(self._client.get_model_version(model, str(aliases[name])), aliases)

    def set_alias(self, model: str, name: str, version: int | None) -> None:
        """Set an alias to the ledger's version, which may have another number in MLflow; None deletes the alias."""
        with _answering(self.uri):
            if version is None:
                self._client.delete_registered_model_alias(model, name)
            else:
                number = self._number(model, version) or version
                _again(lambda: self._client.set_registered_model_alias(model, name, str(number)))

    def bundle(self, version: ModelVersion) -> Path | None:
        """Path of the bundle: MLflow's own file if it is local, else a download in a temporary folder. None if missing."""
        with _answering(self.uri):
            number = version.registry_number or self._number(version.model, version.version)
            if number is None:
                return None
            location = self._client.get_model_version_download_uri(version.model, str(number))
            return self._file(location, f"{version.model}-{number}")

    def locate(self, version: ModelVersion) -> str:
        """URL of the version's page; without a server a `models:/` URI."""
        number = version.registry_number or version.version
        if self._has_server:
            return f"{self.uri.rstrip('/')}/#/models/{version.model}/versions/{number}"
        return f"models:/{version.model}/{number}"

    # ------------------------------------------------------------ the experiment
    def experiment_is_deleted(self) -> bool:
        """Whether the experiment `foundry` is in the state `deleted`."""
        with _answering(self.uri):
            found = self._client.get_experiment_by_name(EXPERIMENT)
            return found is not None and found.lifecycle_stage == "deleted"

    def restore_experiment(self) -> None:
        """Restore the experiment `foundry`, or create it."""
        with _answering(self.uri):
            self._experiment()

    # ------------------------------------------------------------ the ledger's witness
    def ledger_head(self, model: str) -> str | None:
        """The head in the registered model's tag, or None."""
        with _answering(self.uri):
            found = self._model(model)
            return found.tags.get(HEAD_TAG) if found else None

    def set_ledger_head(self, model: str, head: str) -> None:
        """Write the head into the registered model's tag. The registered model is created if needed."""
        with _answering(self.uri):
            self._ensure_model(model)
            _again(lambda: self._client.set_registered_model_tag(model, HEAD_TAG, head))

    # ------------------------------------------------------------ parts
    @property
    def _has_server(self) -> bool:
        return self.uri.startswith("http")

    @cached_property
    def _client(self) -> Any:
        if self.uri.startswith(_SQLITE):
            _prepare_database(Path(self.uri.removeprefix(_SQLITE)))
        # MLflow's client reads the login only from the environment.
        os.environ.update({name: value for name, value in self._login.items() if value})
        return _connect(self.uri)

    @cached_property
    def _downloads(self) -> "tempfile.TemporaryDirectory[str]":
        return tempfile.TemporaryDirectory(prefix="foundry-bundles-")

    def _model(self, model: str) -> Any:
        """The registered model, or None."""
        return _unless(_ABSENT, lambda: self._client.get_registered_model(model))

    def _aliases(self, model: str) -> dict[str, int]:
        found = self._model(model)
        return {name: int(number) for name, number in found.aliases.items()} if found else {}

    def _ensure_model(self, model: str) -> bool:
        """Create the registered model if needed. Returns whether it existed."""
        return _unless(_PRESENT, lambda: self._client.create_registered_model(model)) is None

    def _same(self, wanted: Registration, identity: str) -> list[ModelVersion]:
        """Versions with this bundle and evidence, without those whose number belongs to another version of the ledger."""
        found = self._identical(wanted.model, identity)
        if wanted.version is not None:
            return [one for one in found if one.version == wanted.version]
        return [one for one in found if wanted.taken.get(one.version, wanted.sha256) == wanted.sha256]

    def _delete_misnumbered(self, wanted: Registration, identity: str) -> None:
        """Delete versions left by a process that was killed while it skipped numbers of other versions."""
        for one in self._identical(wanted.model, identity):
            if wanted.taken.get(one.version, one.sha256) != one.sha256:
                self._delete(wanted.model, one.registry_number)

    def _identical(self, model: str, identity: str) -> list[ModelVersion]:
        return self._search(model, f"name='{model}' and tags.`{IDENTITY_TAG}`='{identity}'")

    def _number(self, model: str, version: int) -> int | None:
        """MLflow's number of the ledger's version, or None."""
        found = (one for one in self._search(model, f"name='{model}'") if one.version == version)
        return next((one.registry_number for one in found), None)

    def _delete(self, model: str, number: int | None) -> None:
        _unless(_ABSENT, lambda: self._client.delete_model_version(model, str(number)))

    def _search(self, model: str, query: str) -> list[ModelVersion]:
        aliases, found, token = self._aliases(model), [], None
        while True:
            page = self._client.search_model_versions(query, max_results=1000, page_token=token)
            found += [_version(item, aliases) for item in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda version: (version.version, version.registry_number))

    def _experiment(self) -> str:
        """The experiment's id; created or restored if needed. Without a server the settings name the folder of its files."""
        location = None if self._has_server else self._artifacts
        if location and "://" not in location:
            location = str(Path(location).expanduser().resolve())
        for _ in range(2):
            found = self._client.get_experiment_by_name(EXPERIMENT)
            if found:
                if found.lifecycle_stage == "deleted":  # MLflow refuses a second experiment of that name
                    self._client.restore_experiment(found.experiment_id)
                return str(found.experiment_id)
            created = _unless(_PRESENT, lambda: self._client.create_experiment(EXPERIMENT, artifact_location=location))
            if created:
                return str(created)
        raise TransientError(f"MLflow at {self.uri} has no experiment {EXPERIMENT!r} and does not make one. Try again.")

    def _log(self, wanted: Registration, identity: str) -> int:
        """Log a run with the evidence and a model with the bundle, and register it. Returns MLflow's number.

        If a step fails, the run's status is FAILED.
        """
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric  # noqa: PLC0415

        experiment = self._experiment()
        tags = {**wanted.tags, SHA256_TAG: wanted.sha256, IDENTITY_TAG: identity}
        if wanted.version is not None:
            tags[VERSION_TAG] = str(wanted.version)
        self._end_leftovers(experiment, identity)
        run = self._client.create_run(experiment, tags=tags, run_name=wanted.run_name or wanted.model)
        run_id = run.info.run_id
        try:
            metrics = [Metric(key, value, run.info.start_time, 0) for key, value in wanted.metrics.items()]
            self._client.log_batch(run_id, metrics=metrics)
            logged = self._client.create_logged_model(
                experiment, name=wanted.model, source_run_id=run_id, tags=tags, model_type="foundry"
            )
            with tempfile.TemporaryDirectory(prefix="foundry-register-") as folder:
                evidence = write_evidence(Path(folder) / "evidence", wanted)
                self._client.log_artifacts(run_id, str(evidence), "evidence")
                saved = save_pyfunc(Path(folder) / "model", wanted, run_id=run_id, logged=logged)
                self._client.log_model_artifacts(logged.model_id, str(saved))
            self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
            self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            created = self._create(wanted.model, logged, run_id, tags, version=wanted.version, taken=wanted.taken)
        except BaseException:
            with suppress(Exception):
                self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id, "FINISHED")
        return created

    def _create(
        self,
        model: str,
        logged: Any,
        run_id: str | None,
        tags: Mapping[str, str],
        *,
        version: int | None,
        taken: Mapping[int, str],
    ) -> int:
        """Create a version of a logged model. Returns MLflow's number.

        MLflow counts up and never reuses a number. Numbers of other versions of the ledger are skipped: created, then deleted.
        """
        kept = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
        if version is not None:
            kept[VERSION_TAG] = str(version)
        source = f"models:/{logged.model_id}" if self._has_server else logged.artifact_location
        number = 0
        while number != version and (number <= (version or 0) or number in taken):
            if number:
                self._delete(model, number)
            created = self._client.create_model_version(
                model, source, run_id=run_id, tags=kept, model_id=logged.model_id
            )
            if int(created.version) <= number:
                raise ConfigError(
                    f"MLflow at {self.uri} gave number {number} of {model} twice. Use a SQL database for it."
                )
            number = int(created.version)
        shown = {_SHOWN_TAG: json.dumps([{"name": model, "version": number}])}
        self._client.set_logged_model_tags(logged.model_id, kept | shown)
        return number

    def _logged(self, model: str, version: int, sha256: str) -> Any:
        """The logged model of this version whose bundle has this digest, or None."""
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return None
        query = f"name = '{model}' and tags.`{SHA256_TAG}` = '{sha256}'"
        found = self._client.search_logged_models([experiment.experiment_id], query)
        numbered = [(_registered_as(one), one) for one in found if one.status == "READY"]
        for wanted in (version, None):  # None: a process was killed before it set the version's tag
            for number, logged in numbered:
                if number == wanted and self._is_whole(logged, sha256):
                    return logged
        return None

    def _is_whole(self, logged: Any, sha256: str) -> bool:
        file = self._file(logged.artifact_location, logged.model_id)
        return file is not None and sha256_of(file.read_bytes()) == sha256

    def _file(self, location: str, folder: str) -> Path | None:
        """The bundle among a model's files, or None. folder: name of the folder for a download."""
        from mlflow.artifacts import download_artifacts, list_artifacts  # noqa: PLC0415

        if location.startswith(("/", "file://")):
            local = Path(location.removeprefix("file://")) / "data" / BUNDLE_FILE
            return local if local.is_file() else None
        listed = list_artifacts(artifact_uri=f"{location}/data", tracking_uri=self.uri)
        if not any(Path(one.path).name == BUNDLE_FILE for one in listed):
            return None
        fetched = Path(self._downloads.name) / folder
        fetched.mkdir(exist_ok=True)
        source = f"{location}/data/{BUNDLE_FILE}"
        return Path(download_artifacts(artifact_uri=source, dst_path=str(fetched), tracking_uri=self.uri))

    def _end_leftovers(self, experiment: str, identity: str) -> None:
        """Set runs of a killed process, which MLflow still shows as RUNNING, to KILLED."""
        query = f"tags.`{IDENTITY_TAG}` = '{identity}' and attributes.status = 'RUNNING'"
        for run in self._client.search_runs([experiment], query):
            self._client.set_terminated(run.info.run_id, "KILLED")


def _version(found: Any, aliases: dict[str, int]) -> ModelVersion:
    number = int(found.version)
    names = tuple(sorted(name for name, version in aliases.items() if version == number))
    version = int(found.tags.get(VERSION_TAG, number))
    return ModelVersion(found.name, version, found.tags.get(SHA256_TAG, ""), names, registry_number=number)


def _registered_as(logged: Any) -> int | None:
    """The ledger's number of a logged model's version, or None."""
    tagged = logged.tags.get(VERSION_TAG)
    if tagged is not None:
        return int(tagged)
    shown = json.loads(logged.tags.get(_SHOWN_TAG, "[]"))
    return int(shown[-1]["version"]) if shown else None


def _unless(codes: set[str], call: Any) -> Any:
    """The result of `call`, or None if MLflow answers with one of `codes`."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        return call()
    except MlflowException as error:
        if error.error_code in codes:
            return None
        raise


def _prepare_database(path: Path) -> None:
    """Let MLflow create its tables in a temporary file, then rename it. A lock makes this happen once.

    Two processes that create tables at once fail, and a process killed meanwhile leaves a database that MLflow cannot repair.
    Raises ConfigError at once if the file cannot be written; MLflow would retry for minutes.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f"{path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_size:
                path.open("r+b").close()
                return
            fresh = path.with_name(f"{path.name}.new")
            fresh.unlink(missing_ok=True)
            _connect(f"{_SQLITE}{fresh}")
            fresh.replace(path)
    except OSError as error:
        raise ConfigError(
            f"MLflow's database cannot be used: {(error.strerror or str(error)).lower()} ({path}). "
            "Make it writable or set FOUNDRY_MLFLOW_URI."
        ) from error


def _connect(uri: str) -> Any:
    """MLflow's client without log output, telemetry and long retries."""
    for key, value in (_QUIET | _PATIENCE).items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient  # noqa: PLC0415

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors are raised
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _again(call: Callable[[], Any]) -> None:
    """Call, and retry if another process wrote the same row: MLflow reads before it inserts, so one of two calls fails."""
    for _ in range(_LOST_RACES):
        try:
            call()
        except Exception as error:
            if not any(sign in str(error) for sign in ("IntegrityError", "UniqueViolation")):
                raise
        else:
            return
    call()


@contextmanager
def _answering(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into ConfigError (refused) or TransientError (no answer)."""
    try:
        yield
    except FoundryError:
        raise
    except OSError as error:  # requests' connection errors are OSErrors too
        raise TransientError(f"MLflow at {uri} or its files cannot be reached: {_line(error)}.") from error
    except Exception as error:
        code = _code(error)
        if code is None:
            raise
        if code in _REFUSED:
            raise ConfigError(f"MLflow at {uri} refused ({code}): {_line(error)}.") from error
        raise TransientError(
            f"MLflow at {uri} does not answer: {_line(error)}. "
            "Start it or set FOUNDRY_MLFLOW_URI; the run can be repeated."
        ) from error


def _code(error: Exception) -> str | None:
    """MLflow's code of an error; None if the error comes from neither MLflow nor its database."""
    if type(error).__module__.startswith("sqlalchemy"):
        return "TEMPORARILY_UNAVAILABLE" if type(error).__name__ == "OperationalError" else "BAD_REQUEST"
    return getattr(error, "error_code", None)


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (text if len(text) <= 160 else f"{text[:159]}…").rstrip(".")
