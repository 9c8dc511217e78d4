"""A stage as a Kubernetes pod. This module is all that a DAG file imports; _kubernetes_pod builds the pod.

The task is deferred while the pod runs. The triggerer watches the pod, so no scheduler process waits, and a restart of the
scheduler does not end the pod.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from _stage_task import image_of, published, task_arguments
from airflow.sdk import BaseOperator, Context

from foundry_tasks.contract.environment_variables import Settings

if TYPE_CHECKING:
    from _kubernetes_pod import StagePod


class KubernetesStage(BaseOperator):
    """XCom: the result's address, its digest and its metrics. A retry finds the pod of an earlier try by its labels."""

    template_fields = ("shard",)

    def __init__(self, *, stage: str, shard: str | None = None, **arguments: Any) -> None:
        image_of("cpu", Settings.from_environment())  # without an image the DAG is refused when it is parsed
        super().__init__(**task_arguments(stage) | arguments)
        self.stage = stage
        self.shard = shard

    @cached_property
    def pod(self) -> "StagePod":
        """The operator that creates and watches the pod."""
        from _kubernetes_pod import StagePod  # noqa: PLC0415 - takes 0.5 s; DAG files are parsed often

        return StagePod(
            stage=self.stage, shard=self.shard, task_id=self.task_id, execution_timeout=self.execution_timeout
        )

    def execute(self, context: Context) -> dict[str, Any]:
        self.pod.start(context)
        return published(self.stage, self.shard, context)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resume after the triggerer saw the pod end. KubernetesPodOperator fixes this method's name."""
        self.pod.trigger_reentry(context, event)
        return published(self.stage, self.shard, context)

    def on_kill(self) -> None:
        if "pod" in vars(self):  # else there is no pod
            self.pod.on_kill()
