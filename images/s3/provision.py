"""Create buckets, accounts and rights on a versitygw server, and verify the rights. It can be run any number of times.

Account `stage` reads the store and writes all but the ledger; `promote` also writes the ledger; `reports` reads pages and
runs; `mlflow` has its own bucket. No account may delete a ledger record. On another S3 server, create the accounts with its
own tools and give them the rights of `policies`.

    provision.py [folder of secret files]      also reads FOUNDRY_SECRETS, FOUNDRY_S3_ENDPOINT, FOUNDRY_STORE
"""

import contextlib
import json
import os
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3Session

ACCOUNTS = ("stage", "promote", "reports", "mlflow")
MLFLOW_BUCKET = "mlflow"
REGION = "us-east-1"
WAIT_S = 60
Keys = tuple[str, str]


def provision(endpoint: str, store: str, secrets: Path) -> None:
    """Create buckets, accounts and policies; verify the rights. store: `s3://bucket/prefix`. Exits with one line on failure."""
    keys = {name: _keys(secrets, name) for name in ("root", *ACCOUNTS)}
    root = _client(endpoint, keys["root"])
    _wait(root, endpoint)
    for name in ACCOUNTS:
        _account(endpoint, keys["root"], *keys[name])
    bucket, _, prefix = store.removeprefix("s3://").strip("/").partition("/")
    principals = {name: access for name, (access, _) in keys.items()}
    for name, document in policies(bucket, prefix, principals).items():
        with contextlib.suppress(root.exceptions.BucketAlreadyOwnedByYou):
            root.create_bucket(Bucket=name)
        root.put_bucket_policy(Bucket=name, Policy=json.dumps(document))
    wrong = unproved({name: _client(endpoint, keys[name]) for name in ACCOUNTS}, bucket, prefix)
    if wrong:
        raise SystemExit(f"provision: the S3 server does not keep the rights it was given: {'; '.join(wrong)}.")


def policies(bucket: str, prefix: str, principals: dict[str, str]) -> dict[str, Any]:
    """Bucket → policy. principals: account → access key."""
    below = f"{prefix}/" if prefix else ""

    def may(who: str, what: str, where: str, effect: str = "Allow", **more: Any) -> dict[str, Any]:
        return {
            "Effect": effect,
            "Principal": {"AWS": [principals[name] for name in who.split()]},
            "Action": [f"s3:{action}" for action in what.split()],
            "Resource": [f"arn:aws:s3:::{place}" for place in where.split()],
            **more,
        }

    objects, ledger = f"{bucket}/{below}*", f"{bucket}/{below}ledger/*"
    shown = {"StringLike": {"s3:prefix": [f"{below}pages/*", f"{below}runs/*"]}}
    return {
        bucket: {
            "Version": "2012-10-17",
            "Statement": [
                may("stage promote", "ListBucket", bucket),
                may("stage promote", "GetObject PutObject", objects),
                may("stage promote", "AbortMultipartUpload", f"{bucket}/{below}objects/*"),
                may("promote", "DeleteObject", objects),
                may("stage", "PutObject", ledger, "Deny"),
                may("stage promote", "DeleteObject", ledger, "Deny"),
                may("reports", "ListBucket", bucket, Condition=shown),
                may("reports", "GetObject", f"{bucket}/{below}pages/* {bucket}/{below}runs/*"),
            ],
        },
        MLFLOW_BUCKET: {
            "Version": "2012-10-17",
            "Statement": [
                may("mlflow", "ListBucket ListBucketMultipartUploads", MLFLOW_BUCKET),
                may("mlflow", "GetObject PutObject DeleteObject AbortMultipartUpload ListMultipartUploadParts",
                    f"{MLFLOW_BUCKET}/*"),
            ],
        },
    }  # fmt: skip


def unproved(clients: dict[str, Any], bucket: str, prefix: str) -> list[str]:
    """Rights that differ from `policies`, found by trying each call. Writes nothing.

    Puts carry a condition that cannot hold, so all are refused; the status tells whether the account has the right.
    """
    below = f"{prefix}/" if prefix else ""
    writes, reads, lists, deletes = "put_object", "head_object", "list_objects_v2", "delete_object"
    everything = {
        (writes, bucket, "ledger/probe"): "promote",
        (writes, bucket, "objects/probe"): "stage promote",
        (writes, bucket, "pages/probe"): "stage promote",
        (reads, bucket, "ledger/probe"): "stage promote",
        (reads, bucket, "objects/probe"): "stage promote",
        (reads, bucket, "pages/probe"): "stage promote reports",
        (reads, bucket, "runs/d/r/gates/-/result.json"): "stage promote reports",
        (lists, bucket, "pages/"): "stage promote reports",
        (lists, bucket, "ledger/"): "stage promote",
        (deletes, bucket, "ledger/probe"): "",
        (deletes, bucket, "objects/probe"): "promote",
        (writes, MLFLOW_BUCKET, "probe"): "mlflow",
        (reads, MLFLOW_BUCKET, "probe"): "mlflow",
        (deletes, MLFLOW_BUCKET, "probe"): "mlflow",
        ("put_bucket_policy", bucket, ""): "",
        ("create_bucket", "probe", ""): "",
    }
    wrong = []
    for (act, where, key), who in everything.items():
        whole = below + key if where == bucket else key
        for name, client in clients.items():
            allowed = _allowed(client, act, where, whole)
            if allowed != (name in who.split()):
                wrong.append(f"{name} {'may' if allowed else 'may not'} {act} {where}/{whole}")
    return wrong


def _allowed(client: Any, act: str, bucket: str, key: str) -> bool:
    of_acts: dict[str, dict[str, Any]] = {
        "put_object": {"Key": key, "Body": b"", "IfMatch": '"no such content"'},
        "list_objects_v2": {"Prefix": key, "MaxKeys": 1},
        "put_bucket_policy": {"Policy": "{}"},
        "create_bucket": {},
    }
    arguments = of_acts.get(act, {"Key": key})
    try:
        getattr(client, act)(Bucket=bucket, **arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] not in {401, 403}
    return True


def _account(endpoint: str, root: Keys, access: str, secret: str) -> None:
    """Create an account without rights, or set the secret of an existing account."""
    account = f"<Account><Access>{escape(access)}</Access><Secret>{escape(secret)}</Secret><Role>user</Role></Account>"
    status = _admin(endpoint, root, "/create-user", account)
    if status == 409:  # it exists
        query = urllib.parse.urlencode({"access": access})
        secret_alone = f"<MutableProps><Secret>{escape(secret)}</Secret></MutableProps>"
        status = _admin(endpoint, root, f"/update-user?{query}", secret_alone)
    if status not in {200, 201}:
        raise SystemExit(f"provision: the account {access} cannot be made at {endpoint}: HTTP {status}.")


def _admin(endpoint: str, keys: Keys, path: str, body: str) -> int:
    """Send a request to versitygw's admin API, signed like an S3 request. Returns the HTTP status."""
    request = AWSRequest("PATCH", endpoint.rstrip("/") + path, data=body.encode())
    S3SigV4Auth(Credentials(*keys), "s3", REGION).add_auth(request)
    return int(URLLib3Session(timeout=30).send(request.prepare()).status_code)


def _client(endpoint: str, keys: Keys) -> Any:
    config = Config(
        s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 2}
    )
    return boto3.session.Session(*keys, region_name=REGION).client("s3", endpoint_url=endpoint, config=config)


def _wait(root: Any, endpoint: str) -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            root.list_buckets()
        except ClientError as error:
            raise SystemExit(f"provision: {endpoint} refuses the root keys: {error}") from error
        except BotoCoreError as error:
            if time.monotonic() > until:
                raise SystemExit(f"provision: no S3 server at {endpoint} in {WAIT_S} s: {error}") from error
            time.sleep(0.5)
        else:
            return


def _keys(secrets: Path, account: str) -> Keys:
    def read(name: str) -> str:
        path = secrets / f"s3_{account}_{name}"
        try:
            value = path.read_text().strip()
        except OSError as error:
            raise SystemExit(f"provision: secret file {path} cannot be read: {error.strerror}.") from error
        return value or sys.exit(f"provision: secret file {path} is empty.")

    return read("access_key"), read("secret_key")


if __name__ == "__main__":
    provision(
        os.environ["FOUNDRY_S3_ENDPOINT"],
        os.environ.get("FOUNDRY_STORE") or "s3://foundry",
        Path((sys.argv[1:] or [os.environ.get("FOUNDRY_SECRETS") or "/run/secrets"])[0]),
    )
