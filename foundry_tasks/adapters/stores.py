"""Which store and which S3 server the settings name. An SDK is loaded for whoever needs it and for nobody else."""

from pathlib import Path
from typing import TYPE_CHECKING

from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.ports import Store
from foundry_tasks.contract.settings import Settings

if TYPE_CHECKING:
    from foundry_tasks.adapters.s3_server import S3Client

S3 = "s3://"


def open_store(settings: Settings) -> Store:
    """The store that FOUNDRY_STORE names. Raises ConfigError where it cannot be used."""
    if settings.store.startswith(S3):
        from foundry_tasks.adapters.store_s3 import S3Store  # noqa: PLC0415 - S3's SDK is loaded for S3 alone

        return S3Store(settings.store, _s3_client(settings))
    if "://" in settings.store:
        raise ConfigError(f"FOUNDRY_STORE={settings.store}: a store is a folder or an s3://bucket/prefix. Name one.")
    from foundry_tasks.adapters.store_local import LocalStore  # noqa: PLC0415 - as above

    return LocalStore(settings.store)


def fetch(settings: Settings, uri: str, folder: Path) -> Path:
    """A copy in `folder` of what a user's `s3://` URI means: a file, or for a prefix a folder of files.

    Raises ConfigError where there is nothing or it may not be read, TransientError where the server does not answer.
    """
    from foundry_tasks.adapters.s3_files import download  # noqa: PLC0415 - as above

    return download(_s3_client(settings), uri, folder)


def _s3_client(settings: Settings) -> "S3Client":
    from foundry_tasks.adapters.s3_server import connect  # noqa: PLC0415 - as above

    return connect(settings.s3_endpoint, settings.secret("s3_access_key"), settings.secret("s3_secret_key"))
