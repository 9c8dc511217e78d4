"""What Kubernetes says of an object without a cluster: the schemas of its API, and the pod security profile `restricted`."""

import functools
import json
from unittest.mock import patch

import kubernetes_validate

from tests.chart.helm import Object, containers

VERSIONS = ("1.29", "1.33", "1.37")
"""The oldest that Chart.yaml lets in, one between, and the newest whose schemas there are."""
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

_read = functools.cache(kubernetes_validate.utils.schema_contents)


def schema_fault(one: Object, version: str) -> str:
    """What a version's schemas find wrong in an object, empty where nothing is; unknown fields are wrong."""
    return _schema_fault(json.dumps(one, sort_keys=True), version)


@functools.cache
def _schema_fault(document: str, version: str) -> str:
    with patch("kubernetes_validate.utils.schema_contents", _read):  # it would read them anew for every object
        try:
            kubernetes_validate.validate(json.loads(document), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            return f"{'/'.join(map(str, error.path))}: {error.message}"
    return ""


def restricted_faults(pod: Object) -> list[str]:
    """What the profile finds wrong in a pod, control by control as the Pod Security Standards list them."""
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
