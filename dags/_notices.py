"""Notices of failed tasks and of pending approvals: a log line, and a message if FOUNDRY_NOTIFY asks for one."""

import json
import urllib.request
from email.utils import getaddresses
from html import escape
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Context
from airflow.sdk.bases.notifier import BaseNotifier

from foundry_tasks.contract.environment_variables import Settings

if TYPE_CHECKING:
    from airflow.providers.standard.operators.hitl import ApprovalOperator

_TIMEOUT_S = 10


class Notice(BaseNotifier):
    """Writes one log line. Also sends it to FOUNDRY_NOTIFY: a webhook (POST, JSON) or e-mail.

    E-mail uses Airflow's connection `smtp_default`. If sending fails, an error is logged; the task's state does not change.
    """

    event = ""

    def sentence(self, context: Context) -> str:
        """What happened, where, and what to do, in one line."""
        raise NotImplementedError

    def notify(self, context: Context) -> None:
        line = self.sentence(context)
        self.log.error(line) if self.event == "failed" else self.log.warning(line)
        try:
            self._send(line, context)
        except Exception as error:  # no failure here may change the task's state
            self.log.error("notice not sent, FOUNDRY_NOTIFY failed: %s", error)  # noqa: TRY400 - one line

    def _send(self, line: str, context: Context) -> None:
        settings = Settings.from_environment()
        where = settings.secret("notify") or settings.notify
        if where.startswith("mailto:"):
            _send_mail(where.removeprefix("mailto:"), line, context)
        elif where != "log":
            _post(where, {"event": self.event, "text": line, **_task(context)})


class FailureNotice(Notice):
    """A task that will not be tried again."""

    event = "failed"

    def sentence(self, context: Context) -> str:
        task = _task(context)
        why = (str(context.get("exception") or "").splitlines() or ["see its log"])[0]
        return f"{task['dag']}: task {task['task']} failed in run {task['run_id']} (try {task['try']}): {why}"


class ApprovalNotice(Notice):
    """A task that waits for a person's approval."""

    event = "approval"

    def sentence(self, context: Context) -> str:
        task = _task(context)
        subject = cast("ApprovalOperator", context["task"]).subject
        return f"{task['dag']}: {subject} waits for approval in run {task['run_id']}"


def _task(context: Context) -> dict[str, Any]:
    ti = context["ti"]
    return {"dag": ti.dag_id, "run_id": ti.run_id, "task": ti.task_id, "try": ti.try_number}


def _post(url: str, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - Settings allows only http(s)
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - as above
        pass


def _send_mail(to: str, line: str, context: Context) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook  # noqa: PLC0415 - needed for e-mail only

    with SmtpHook() as smtp:
        smtp.send_email_smtp(
            to=[address for _, address in getaddresses([to])],
            from_email=smtp.from_email or "foundry@localhost",
            subject=f"Foundry: {_task(context)['dag']} {_task(context)['task']}",
            html_content=f"<p>{escape(line)}</p>",
        )
