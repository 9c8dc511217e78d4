"""The pod of a stage: the same command, environment, limits and hardening as the Docker container.

This module imports the Kubernetes client. Only a running task imports it, never a DAG file.
"""

import os
import shlex
from typing import Any

from _stage_task import (
    FILES_AT,
    GRACE_S,
    UID,
    container_environment,
    container_labels,
    image_kind,
    image_of,
    out_of_memory,
    raise_for_exit,
    stage_command,
)
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import models as k8s

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.stages import STAGES

POLL_S = 5
"""Interval at which the triggerer asks for a pod's state."""
LOG_EVERY_S = 30
"""Interval at which the triggerer copies the log of a running pod."""
SCHEDULE_S = 3600
"""Maximum time in Pending: other pods of the run may use the nodes, or an autoscaler must add one."""
WORKSPACE_SIZE = "16Gi"
"""Disk for the files that a stage reads and writes. 2000 tickers over 20 years need 4 GB."""
START_S = 1200
"""Maximum time to pull the image, which can have 8 GB."""


class StagePod(KubernetesPodOperator):
    """Creates or adopts the task's pod, defers while the pod runs, and maps its exit code."""

    def __init__(self, *, stage: str, shard: str | None, **arguments: Any) -> None:
        settings, spec = Settings.from_environment(), STAGES[stage]
        super().__init__(
            name=f"foundry-{stage}",
            image=image_of("cpu", settings),
            cmds=["foundry"],
            container_security_context=k8s.V1SecurityContext(
                run_as_non_root=True,
                run_as_user=UID,
                run_as_group=UID,
                read_only_root_filesystem=True,
                allow_privilege_escalation=False,
                capabilities=k8s.V1Capabilities(drop=["ALL"]),
                seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
            ),
            volumes=[
                k8s.V1Volume(name="workspace", empty_dir=k8s.V1EmptyDirVolumeSource(size_limit=WORKSPACE_SIZE)),
                k8s.V1Volume(
                    name="secrets",
                    secret=k8s.V1SecretVolumeSource(
                        secret_name=settings.promote_files if spec.writes_registry else settings.stage_files,
                        default_mode=0o440,
                    ),
                ),
            ],
            volume_mounts=[
                k8s.V1VolumeMount(name="workspace", mount_path="/tmp"),  # noqa: S108 - an emptyDir, deleted with the pod
                k8s.V1VolumeMount(name="secrets", mount_path=f"{FILES_AT}/secrets", read_only=True),
            ],
            security_context=k8s.V1PodSecurityContext(fs_group=UID),
            automount_service_account_token=False,
            termination_grace_period=GRACE_S,
            termination_message_policy="FallbackToLogsOnError",
            active_deadline_seconds=spec.timeout_s,  # ends the pod even if Airflow is gone
            on_finish_action="delete_pod",
            # Explicit: the triggerer would otherwise look for a kubeconfig file, and an Airflow connection could override it.
            in_cluster="KUBERNETES_SERVICE_HOST" in os.environ,
            kubernetes_conn_id=None,
            deferrable=True,
            poll_interval=POLL_S,
            logging_interval=LOG_EVERY_S,
            schedule_timeout_seconds=SCHEDULE_S,
            startup_timeout_seconds=START_S,
            log_pod_spec_on_failure=False,
            do_xcom_push=False,
            **arguments,
        )
        self.stage = stage
        self.shard = shard

    def start(self, context: Context) -> None:
        """Create or adopt the pod and defer the task. Does not defer if the adopted pod has succeeded."""
        self.choose_image(context)
        command = stage_command(self.stage, self.shard, context)
        self.arguments = command[1:]
        self.labels = container_labels(self.stage, self.shard, context) | {
            "foundry.network": "outside" if STAGES[self.stage].needs_internet else "stages"
        }
        self.log.info("by hand: %s", shlex.join(command))
        self.execute_async(context)  # Airflow warns if anything but its task runner calls `execute`

    def invoke_defer_method(self, last_log_time: Any = None, context: Context | None = None) -> None:
        """As in KubernetesPodOperator, but deletes the pod if the task was ended while it created the pod.

        Airflow refuses to defer such a task, so no triggerer would watch the pod.
        """
        state = state_of(context) if context else "running"
        if state != "running":
            self.log.warning("the task is %s meanwhile, so its pod is deleted", state)
            self.on_kill()
        super().invoke_defer_method(last_log_time, context)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> None:
        """As in KubernetesPodOperator, but copies the whole log, since the triggerer's copy is no longer shown."""
        super().trigger_reentry(context, event | {"last_log_time": None})

    def get_or_create_pod(self, pod_request_obj: k8s.V1Pod, context: Context) -> k8s.V1Pod:
        """As in KubernetesPodOperator, but adopts a pod of an earlier try that succeeded; the operator would run it again."""
        found = self.find_pod(pod_request_obj.metadata.namespace, context=context)
        if found and found.status.phase == PodPhase.SUCCEEDED:
            return found
        return super().get_or_create_pod(pod_request_obj, context)

    def choose_image(self, context: Context) -> None:
        """Set image, template and resources. A task that fits a deep model gets the CUDA image and a GPU."""
        settings, spec = Settings.from_environment(), STAGES[self.stage]
        kind = image_kind(self.stage, self.shard, context, settings)
        limits = {"cpu": f"{spec.cpus:g}", "memory": f"{spec.memory_mb}Mi"}
        if kind == "cuda" and settings.pod_gpus:
            limits["nvidia.com/gpu"] = str(settings.pod_gpus)
        self.pod_template_file = f"{settings.pod_templates}/{kind}.yaml" if settings.pod_templates else None
        self.image = image_of(kind, settings)
        self.env_vars = container_environment(settings, self.image)
        self.container_resources = k8s.V1ResourceRequirements(limits=limits, requests=limits)

    def cleanup(self, pod: Any, remote_pod: Any, xcom_result: Any = None, context: Context | None = None) -> None:
        """As in KubernetesPodOperator, but maps the exit code as the other runtimes do."""
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowException:
            statuses = (remote_pod.status.container_statuses if remote_pod and remote_pod.status else None) or []
            for status in statuses:
                ended = status.state.terminated if status.name == self.base_container_name and status.state else None
                if ended:
                    last = (ended.message or "").strip().rpartition("\n")[2] or ended.reason
                    raise_for_exit(ended.exit_code, out_of_memory(self.stage) if ended.reason == "OOMKilled" else last)
            raise


def state_of(context: Context) -> str:
    """The task's current state in Airflow; a person may have ended it since it started."""
    ti, run = context["ti"], context["run_id"]
    found = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[run], map_index=ti.map_index)
    (state,) = found[run].values()
    return str(state)
