"""Requests to an S3 server: short retries, and errors in one line."""

import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's class: endpoint not reachable
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ResponseStreamingError,
    SSLError,
)

from foundry_tasks.contract.errors import ConfigError, FoundryError, MissingInputError, TransientError

Answer = TypeVar("Answer")
S3Client: TypeAlias = Any
"""boto3 creates client classes at run time; its stubs have S3 only with an extra."""

PATIENCE_S = 8.0
"""Time in which a request is retried: enough for a restart of the server. Longer outages are left to Airflow's retry."""
_CONNECT_S = 5
_ANSWER_S = 25
"""Read timeout. A frozen server costs a stage less than 90 s, including the log line that a failing stage writes."""
_FULL = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "XMinioDiskFull"}
_LATER = {
    "ConditionalRequestConflict",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "TooManyRequests",
}
_NO_ANSWER = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError)
_STRANGERS = {"InvalidAccessKeyId", "InvalidToken", "ExpiredToken", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}


def connect(endpoint: str, access_key: str | None, secret_key: str | None) -> S3Client:
    """A client; sends no request. endpoint: URL, empty for AWS. Keys that are None are looked up by the SDK."""
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_ANSWER_S,
        retries={"total_max_attempts": 1},  # `ask` retries: a put whose answer was lost may have won
        max_pool_connections=32,
        s3={"addressing_style": "path"} if endpoint else {},
    )
    session = boto3.session.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key)
    region = session.region_name or "us-east-1"
    try:
        return session.client("s3", region_name=region, endpoint_url=endpoint or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(
            f"FOUNDRY_S3_ENDPOINT={endpoint}: {_line(error)}. Give a URL such as http://s3:7070."
        ) from error


def ask(call: Callable[[], Answer], what: str) -> Answer:
    """Send a request, with retries, and return its answer. what: text for errors, such as `reading s3://b/k`.

    Raises ConfigError if the server refuses, TransientError if it does not answer in time.
    """
    until = time.monotonic() + PATIENCE_S
    pause = 0.1
    while True:
        try:
            return call()
        except (BotoCoreError, ClientError) as error:
            explained = explain(error, what)
            if not isinstance(explained, TransientError) or time.monotonic() + pause > until:
                raise explained from error
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads the retries of many writers
        pause = min(2 * pause, 2.0)


def code_of(error: Exception) -> str:
    """S3's code of an error, such as NoSuchKey; "" if the error is not the server's."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def status_of(error: Exception) -> int:
    """HTTP status of an error; 0 if the error is not the server's."""
    return (
        int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if isinstance(error, ClientError)
        else 0
    )


def explain(error: Exception, what: str) -> FoundryError:
    """Turn boto's error into ConfigError, TransientError or MissingInputError."""
    code, status, line = code_of(error), status_of(error), _line(error)
    meanings: tuple[tuple[bool, type[FoundryError], str], ...] = (
        (isinstance(error, NoCredentialsError | PartialCredentialsError), ConfigError,
         f"no S3 keys, {what}. Lay s3_access_key and s3_secret_key into the folder FOUNDRY_SECRETS."),
        (isinstance(error, ParamValidationError | SSLError), ConfigError,
         f"{what} failed: {line}. Correct FOUNDRY_STORE or FOUNDRY_S3_ENDPOINT."),
        (isinstance(error, _NO_ANSWER), TransientError,
         f"the S3 server does not answer, {what}: {line}. The run can be repeated once it does."),
        (isinstance(error, FlexibleChecksumError), MissingInputError,
         f"what the store holds is damaged, {what}: {line}. Delete it, and make it again or restore it."),
        (code in _FULL or status == 507, TransientError,
         f"the store is full, {what}. Free space there; the run can then be repeated."),
        (code in _LATER or status in {408, 429} or status >= 500, TransientError,
         f"the S3 server failed, {what}: {code or status}. The run can be repeated."),
        (status == 412, TransientError, f"it was replaced meanwhile, {what}. The run can be repeated."),
        (code == "NoSuchBucket", ConfigError, f"there is no such bucket, {what}. Make it, or set FOUNDRY_STORE."),
        (code in _STRANGERS, ConfigError,
         f"the S3 server refuses the keys, {what}: {code}. Correct the files in FOUNDRY_SECRETS."),
        (status in {401, 403}, ConfigError,
         f"the S3 server does not allow it, {what}: {code}. Use the keys of an account that may do that."),
    )  # fmt: skip
    for holds, kind, sentence in meanings:
        if holds:
            return kind(sentence)
    return ConfigError(f"{what} failed: {code or line}. Check FOUNDRY_STORE and FOUNDRY_S3_ENDPOINT.")


def _line(error: Any) -> str:
    """boto's message in one line, URLs cut to the server, since the caller names the object."""
    return re.sub(r"(https?://[^/\s\"]+)[^\s\"]*", r"\1", " ".join(str(error).split()))[:160].rstrip(".")
