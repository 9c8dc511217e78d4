"""Opens the store and the S3 server of the settings. boto3 is imported only if needed."""

from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import Store

if TYPE_CHECKING:
    from foundry_tasks.adapters.s3_server import S3Client

S3 = "s3://"


def open_store(settings: Settings) -> Store:
    """The store of FOUNDRY_STORE. Raises ConfigError if it cannot be used."""
    if settings.store.startswith(S3):
        from foundry_tasks.adapters.store_s3 import S3Store  # noqa: PLC0415 - imports boto3, needed for S3 only

        return S3Store(settings.store, _s3_client(settings))
    if "://" in settings.store:
        raise ConfigError(f"FOUNDRY_STORE={settings.store}: a store is a folder or an s3://bucket/prefix. Name one.")
    from foundry_tasks.adapters.store_local import LocalStore  # noqa: PLC0415 - as above

    return LocalStore(settings.store)


def fetch(settings: Settings, uri: str, folder: Path) -> Path:
    """Download a user's `s3://` URI into `folder`: a file, or for a prefix a folder of files.

    Raises ConfigError if nothing is there or access is denied, TransientError if the server does not answer.
    """
    from foundry_tasks.adapters.s3_files import download  # noqa: PLC0415 - as above

    return download(_s3_client(settings), uri, folder)


def _s3_client(settings: Settings) -> "S3Client":
    from foundry_tasks.adapters.s3_server import connect  # noqa: PLC0415 - as above

    return connect(settings.s3_endpoint, settings.secret("s3_access_key"), settings.secret("s3_secret_key"))
