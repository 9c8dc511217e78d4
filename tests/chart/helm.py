"""The rendered chart, cached per set of values."""

import functools
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "helm" / "foundry"
VALUES = {path.stem: path for path in (*sorted(CHART.glob("values-*.yaml")), *sorted(CHART.glob("ci/*.yaml")))}
"""All files of values in the chart, by stem."""
EVERY = ("default", *VALUES)
"""Sets of values for tests of the chart's properties: the defaults, and each of the files."""

Object = dict[str, Any]


class Refused(Exception):  # noqa: N818 - reads as: Helm refused
    """Helm refuses these values. The text is Helm's message."""


@dataclass(frozen=True)
class Helm:
    """Helm on this chart, without a cluster."""

    program: str
    home: Path

    def run(self, *arguments: str, kubeconfig: str = "/dev/null") -> str:
        """Output of a command. Raises Refused if it fails."""
        environment = os.environ | {"HELM_CACHE_HOME": str(self.home), "HELM_DATA_HOME": str(self.home)}
        environment |= {"KUBECONFIG": kubeconfig}
        ended = subprocess.run([self.program, *arguments], check=False, capture_output=True, text=True, env=environment)
        if ended.returncode:
            raise Refused(ended.stderr)
        return ended.stdout

    def text(self, values: str = "default", *settings: str, chart: Path = CHART, version: str = "1.37") -> str:
        """`helm template` with a file of VALUES and `--set-json` settings."""
        return self._rendered(values, settings, chart, version)[0]

    def objects(
        self, values: str = "default", *settings: str, chart: Path = CHART, version: str = "1.37"
    ) -> list[Object]:
        """The same as a list of objects. Do not change the list: it is cached."""
        return self._rendered(values, settings, chart, version)[1]

    @functools.cache  # noqa: B019 - one Helm per test session
    def _rendered(self, values: str, settings: tuple[str, ...], chart: Path, version: str) -> tuple[str, list[Object]]:
        given = [part for setting in settings for part in ("--set-json", setting)]
        text = self.run(*release(chart), "--kube-version", version, *files(values), *given)
        return text, load(text)

    def find(self, kind: str, name: str, values: str = "default", *settings: str) -> Object:
        """The object of this kind and name; for a Job without the hash at the end of its name."""
        named = {one["metadata"]["name"]: one for one in self.objects(values, *settings) if one["kind"] == kind}
        return named[name] if name in named else next(one for key, one in named.items() if key.startswith(f"{name}-"))


def release(chart: Path = CHART) -> tuple[str, ...]:
    """`helm template` of a release with the name of its namespace."""
    return ("template", "foundry", str(chart), "--namespace", "foundry")


def files(values: str) -> tuple[str, ...]:
    """Helm's arguments for a file of VALUES."""
    return () if values == "default" else ("--values", str(VALUES[values]))


def load(text: str) -> list[Object]:
    """The objects of a YAML text."""
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]


def pod_template(one: Object) -> Object | None:
    """The pod template of an object, or None."""
    if one["kind"] == "Pod":
        return one
    template: Object | None = one["spec"]["template"] if one["kind"] in {"Deployment", "StatefulSet", "Job"} else None
    return template


def workloads(objects: list[Object]) -> dict[str, Object]:
    """Name of the object → its pod template."""
    return {one["metadata"]["name"]: pod for one in objects if (pod := pod_template(one))}


def containers(pod: Object) -> list[Object]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
