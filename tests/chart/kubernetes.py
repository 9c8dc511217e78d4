"""Checks of objects without a cluster: by the schemas of Kubernetes' API and by the pod security profile `restricted`."""

import functools
import json
from unittest.mock import patch

import kubernetes_validate

from tests.chart.helm import Object, containers

VERSIONS = ("1.29", "1.33", "1.37")
"""The oldest version that Chart.yaml allows, one between, and the newest with schemas."""
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

_read = functools.cache(kubernetes_validate.utils.schema_contents)


def schema_fault(one: Object, version: str) -> str:
    """The first fault of an object by a version's schemas, or "". Unknown fields are faults."""
    return _schema_fault(json.dumps(one, sort_keys=True), version)


@functools.cache
def _schema_fault(document: str, version: str) -> str:
    with patch("kubernetes_validate.utils.schema_contents", _read):  # else it reads them again for every object
        try:
            kubernetes_validate.validate(json.loads(document), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            return f"{'/'.join(map(str, error.path))}: {error.message}"
    return ""


def restricted_faults(pod: Object) -> list[str]:
    """Faults of a pod by the profile, in the order of the Pod Security Standards."""
    spec = pod["spec"]
    around = spec.get("securityContext", {})
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [f"volume {volume}" for volume in spec.get("volumes", ()) if not set(volume) - {"name"} <= VOLUMES]
    found += [key for key in ("sysctls", "seLinuxOptions", "windowsOptions", "appArmorProfile") if key in around]
    for container in containers(pod):
        own = container.get("securityContext", {})
        has = around | own
        wrong = {
            "hostPort": any("hostPort" in port for port in container.get("ports", ())),
            "privileged": own.get("privileged", False),
            "procMount": "procMount" in own,
            "seLinuxOptions": "seLinuxOptions" in own,
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is not False,
            "capabilities": own.get("capabilities") != {"drop": ["ALL"]},
            "runAsNonRoot": has.get("runAsNonRoot") is not True,
            "runAsUser": has.get("runAsUser") == 0,
            "seccompProfile": has.get("seccompProfile") != {"type": "RuntimeDefault"},
        }
        found += [f"{container['name']}: {control}" for control, is_wrong in wrong.items() if is_wrong]
    return found
