"""The rules of this host, read once from FOUNDRY_PROXY_*, and the check of a container against them."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from container import WORKSPACE, Container
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator

PREFIX = "FOUNDRY_PROXY_"
MANAGED = ("foundry.managed", "true")
"""Label of all of Foundry's containers. The proxy gives access to containers with this label only."""
CONTAINER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*-[0-9a-f]{8}-[A-Za-z0-9_.-]+")
"""Container name: DAG, run, stage. So no container can take the name of a service, which is also its address."""
_NOT_NETWORKS = {"host", "none", "bridge", "default"}
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET_|TOKEN|CREDENTIAL|ACCESS_KEY|PRIVATE_KEY|API_KEY")
_SECRET_VALUE = re.compile(r"://[^/\s]*:[^/\s]*@")
_ENV_NAME = re.compile(r"FOUNDRY_[A-Z0-9_]+|OMP_NUM_THREADS|OMP_WAIT_POLICY|OPENBLAS_NUM_THREADS|TZ")


class Rules(BaseModel):
    """One field per variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str = "/var/run/docker.sock"
    """The engine's socket."""
    images: Annotated[frozenset[str], Field(min_length=1)]
    """Allowed images: `sha256:` IDs, which cannot be retagged, or exact names."""
    networks: Annotated[frozenset[str], Field(min_length=1)]
    """Allowed networks. A container has one."""
    volumes: Annotated[frozenset[str], Field(min_length=1)]
    """Allowed volumes; `name:ro` may be mounted read-only."""
    reserved: Mapping[str, frozenset[str]] = {}
    """`name=stage|stage`: network or volume for these stages only. The command's first word is the stage."""
    max_memory_mb: PositiveInt = 16384
    max_cpus: PositiveInt = 16
    max_pids: PositiveInt = 1024

    @field_validator("images", "networks", "volumes", mode="before")
    @classmethod
    def _listed(cls, value: str) -> frozenset[str]:
        return frozenset(filter(None, (part.strip() for part in value.split(","))))

    @field_validator("networks")
    @classmethod
    def _apart(cls, value: frozenset[str]) -> frozenset[str]:
        if wrong := sorted(name for name in value if name in _NOT_NETWORKS or ":" in name):
            raise ValueError(
                f"{', '.join(wrong)} would not keep stages apart from the host; name networks of their own"
            )
        return value

    @field_validator("reserved", mode="before")
    @classmethod
    def _by_name(cls, value: str) -> dict[str, frozenset[str]]:
        parts = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        if wrong := [name for name, _, stages in parts if not name or not stages]:
            raise ValueError(f"{', '.join(wrong)}: give name=stage|stage")
        return {name: frozenset(stages.split("|")) for name, _, stages in parts}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Rules":
        """Read the rules. Raises ValueError with one line that names all missing and wrong variables."""
        given = {
            key.removeprefix(PREFIX).lower(): value for key, value in environment.items() if key.startswith(PREFIX)
        }
        try:
            return cls.model_validate({key: value for key, value in given.items() if value})
        except ValidationError as error:
            raise ValueError(
                "; ".join(f"{PREFIX}{str(part['loc'][0]).upper()}: {part['msg'].lower()}" for part in error.errors())
            ) from error

    def faults(self, wanted: Container, name: str | None) -> list[str]:
        """Reasons to refuse this container; empty if it is allowed."""
        return [*self._identity_faults(wanted, name), *self._resource_faults(wanted), *self._place_faults(wanted)]

    def _identity_faults(self, wanted: Container, name: str | None) -> Iterator[str]:
        if wanted.Image not in self.images:
            yield "Image is not one of Foundry's"
        if not CONTAINER_NAME.fullmatch(name or ""):
            yield "name is not <dag>-<run>-<stage>"
        if wanted.Labels.get(MANAGED[0]) != MANAGED[1]:
            yield f"Labels lack {MANAGED[0]}={MANAGED[1]}"
        for variable in wanted.Env or ():
            key, _, value = variable.partition("=")
            if not _ENV_NAME.fullmatch(key):
                yield f"Env {key[:60]!r} is not on the list"
            elif _SECRET_NAME.search(key) or _SECRET_VALUE.search(value):
                yield f"Env {key} holds a secret, which inspect would show; secrets are files in a volume"

    def _resource_faults(self, wanted: Container) -> Iterator[str]:
        host = wanted.HostConfig
        if host.Memory > self.max_memory_mb << 20:
            yield f"HostConfig.Memory is above {self.max_memory_mb} MB"
        if host.MemorySwap is not None and host.MemorySwap != host.Memory:
            yield "HostConfig.MemorySwap is not Memory"
        if host.NanoCpus > self.max_cpus * 10**9:
            yield f"HostConfig.NanoCpus is above {self.max_cpus} CPUs"
        if host.PidsLimit > self.max_pids:
            yield f"HostConfig.PidsLimit is above {self.max_pids}"

    def _place_faults(self, wanted: Container) -> Iterator[str]:
        host = wanted.HostConfig
        if host.NetworkMode not in self.networks:
            yield "HostConfig.NetworkMode is not one of Foundry's networks"
        for mount in host.Mounts:
            if (mount.Source is None) != (mount.Target == WORKSPACE):
                yield f"HostConfig.Mounts: {WORKSPACE}, and nothing else, is a volume of the container's own, without a name"
            elif (
                mount.Source is not None
                and mount.Source not in self.volumes
                and not (mount.ReadOnly and f"{mount.Source}:ro" in self.volumes)
            ):
                yield f"HostConfig.Mounts: volume {mount.Source[:60]!r} is not one of Foundry's, or is read-only"
        places = {host.NetworkMode, *(mount.Source for mount in host.Mounts)}
        for place, stages in self.reserved.items():
            if place in places and wanted.Cmd[0] not in stages:
                yield f"{place} is for {', '.join(sorted(stages))} alone"


def managed_filters(asked: Any) -> dict[str, list[str]]:
    """Filters of a listing with Foundry's label added. The engine requires every label to match.

    asked: the client's filters, name → values. Raises ValueError if they have another form.
    """
    if not isinstance(asked, dict) or not all(
        isinstance(values, list) and all(isinstance(value, str) for value in values) for values in asked.values()
    ):
        raise ValueError("filters are not name → list of texts")
    return asked | {"label": [*asked.get("label", []), "=".join(MANAGED)]}
