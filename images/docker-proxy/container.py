"""The body of `containers/create`: the keys that a stage's container needs, and no others.

Keys must match in case and values in type, so that the engine cannot read the body differently.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

WORKSPACE = "/tmp"  # noqa: S108 - the container's own volume
_FOLDER = Field(pattern=rf"^({WORKSPACE}|/(run|var/lib)/foundry(/[A-Za-z0-9_-]+)*)$")
_USER = Field(pattern=r"^[1-9][0-9]{0,8}(:[1-9][0-9]{0,8})?$")
_SHOWN = 8


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Mount(_Closed):
    """A volume. The rules say which names may be mounted and written. Without a name it is an anonymous volume."""

    Type: Literal["volume"]
    Source: str | None = None
    Target: Annotated[str, _FOLDER]
    ReadOnly: bool = False


class LogSizes(_Closed):
    """Log sizes; limited, so that a log cannot fill the disk."""

    max_size: Annotated[str, Field(alias="max-size", pattern=r"^[1-9][0-9]{0,2}[km]$")]
    max_file: Annotated[str, Field(alias="max-file", pattern=r"^[1-9]$")]


class LogConfig(_Closed):
    """Log drivers that store logs on this host. Drivers that send logs elsewhere are refused."""

    Type: Literal["json-file", "local"]
    Config: LogSizes


class Gpus(_Closed):
    """All or some of the host's NVIDIA GPUs, in docker-py's form."""

    Driver: Literal["", "nvidia"] = ""
    Count: Annotated[int, Field(ge=-1)] = 0
    DeviceIDs: list[str] = []
    Capabilities: Annotated[list[list[Literal["gpu"]]], Field(min_length=1, max_length=1)]
    Options: Annotated[dict[str, str], Field(max_length=0)] = {}


class HostConfig(_Closed):
    """The container's limits and rights. An absent key has the engine's default, which is harmless."""

    NetworkMode: str
    Mounts: list[Mount] = []
    ReadonlyRootfs: Literal[True]
    CapDrop: Annotated[list[Literal["ALL"]], Field(min_length=1, max_length=1)]
    SecurityOpt: Annotated[
        list[Literal["no-new-privileges", "no-new-privileges:true"]], Field(min_length=1, max_length=1)
    ]
    Init: Literal[True]
    Memory: PositiveInt
    MemorySwap: int | None = None
    NanoCpus: PositiveInt
    PidsLimit: PositiveInt
    DeviceRequests: Annotated[list[Gpus], Field(max_length=1)] | None = None
    LogConfig: LogConfig


class Container(_Closed):
    """A stage's container. After the blank line: keys that docker-py always sends."""

    Image: str
    Cmd: Annotated[list[str], Field(min_length=1)]
    User: Annotated[str, _USER]
    Env: list[str] | None = None
    Labels: dict[Annotated[str, Field(pattern=r"^foundry\.[a-z_]+$")], str]
    HostConfig: HostConfig
    StopTimeout: Annotated[int, Field(ge=0, le=600)] | None = None

    AttachStdin: Literal[False] = False
    AttachStdout: bool = False
    AttachStderr: bool = False
    OpenStdin: Literal[False] = False
    StdinOnce: Literal[False] = False
    Tty: Literal[False] = False
    NetworkDisabled: Literal[False] = False
    Hostname: None = None
    Domainname: None = None
    ExposedPorts: Annotated[dict[str, Any], Field(max_length=0)] | None = None
    Volumes: None = None
    Entrypoint: None = None
    WorkingDir: None = None
    NetworkingConfig: None = None
    MacAddress: None = None
    StopSignal: None = None
    Healthcheck: None = None
    Runtime: None = None


def read_container(body: bytes) -> Container:
    """Parse a body. Raises ValueError with one line: what is not allowed, and where."""
    document = strict_json(body)
    try:
        return Container.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        faults = [f"{'.'.join(map(str, part['loc']))[:120] or 'body'}: {_sentence(part)}" for part in found[:_SHOWN]]
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ValueError("; ".join(faults) + more) from error


def write_container(container: Container) -> bytes:
    """The body for the engine, serialised from the parsed keys only."""
    return json.dumps(container.model_dump(by_alias=True, exclude_unset=True), allow_nan=False).encode()


def strict_json(text: bytes | str) -> Any:
    """Parse JSON. Raises ValueError for repeated keys and for other encodings than UTF-8, which parsers read differently."""
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        return json.loads(decoded, object_pairs_hook=_unrepeated)
    except UnicodeDecodeError as error:
        raise ValueError("body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"body is not JSON: {error.msg.lower()} at character {error.pos}") from error
    except RecursionError as error:
        raise ValueError("body is nested too deep") from error


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("body repeats a key")
    return found


def _sentence(fault: Any) -> str:
    return "not on the list of allowed keys" if fault["type"] == "extra_forbidden" else fault["msg"].lower()
