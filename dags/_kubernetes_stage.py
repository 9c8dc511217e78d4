"""A stage as a Kubernetes pod: what a DAG file has to know of it, which leaves the pod itself to _kubernetes_pod.

Its task is deferred while the pod works: the triggerer watches, so that no process of a scheduler waits, and a scheduler
that restarts takes no pod with it.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from _stage_task import image_of, published, task_arguments
from airflow.sdk import BaseOperator, Context

from foundry_tasks.contract.settings import Settings

if TYPE_CHECKING:
    from _kubernetes_pod import StagePod


class KubernetesStage(BaseOperator):
    """Its XCom is the result's address and its few headline figures; a retry finds an earlier try's pod by its labels."""

    template_fields = ("shard",)

    def __init__(self, *, stage: str, shard: str | None = None, **arguments: Any) -> None:
        image_of("cpu", Settings.from_environment())  # a DAG that no pod could run is refused as it is parsed
        super().__init__(**task_arguments(stage) | arguments)
        self.stage = stage
        self.shard = shard

    @cached_property
    def pod(self) -> "StagePod":
        """What this task asks Kubernetes by."""
        from _kubernetes_pod import StagePod  # noqa: PLC0415 - it takes 0.5 s, and DAG files are parsed all the time

        return StagePod(
            stage=self.stage, shard=self.shard, task_id=self.task_id, execution_timeout=self.execution_timeout
        )

    def execute(self, context: Context) -> dict[str, Any]:
        self.pod.start(context)
        return published(self.stage, self.shard, context)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Where the task goes on once the triggerer has seen the pod end; the pod's operator asks for this name."""
        self.pod.trigger_reentry(context, event)
        return published(self.stage, self.shard, context)

    def on_kill(self) -> None:
        if "pod" in vars(self):  # else there is none to end
            self.pod.on_kill()
