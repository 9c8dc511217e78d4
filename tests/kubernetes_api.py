"""The part of a Kubernetes API that Airflow uses to run pods. It records requests; the test sets what a pod does."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
PATH = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<kind>pods|events)(/(?P<name>[^/]+)(?P<log>/log)?)?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
MADE = "2026-07-01T12:00:00Z"


class KubernetesApi:
    """work: exit code and output of a pod's container, set when the pod is created; None: it keeps running."""

    def __init__(self, work: Callable[[Object], tuple[int, str] | None]) -> None:
        self.asked: list[tuple[str, str, Object | None]] = []
        self.pods: dict[str, Object] = {}
        self.logs: dict[str, str] = {}
        self.work = work
        api = self

        class Answer(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                where = urlsplit(self.path)
                api.asked.append((self.command, self.path, body))
                status, found = api.answer(self.command, where.path, parse_qs(where.query), body)
                payload = found.encode() if isinstance(found, str) else json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/plain" if isinstance(found, str) else "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - names of the library

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Object | None) -> tuple[int, Any]:
        """Status and JSON (or text) of an answer."""
        where = PATH.fullmatch(path)
        assert where, f"nobody should ask for {path}"
        name = where["name"]
        if where["kind"] == "events":
            return 200, {"kind": "EventList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}
        if method == "POST":
            assert body
            return 201, self.make(body)
        if name is None:
            (selector,) = query.get("labelSelector", [""])
            found = [pod for pod in self.pods.values() if fits(selector, pod["metadata"]["labels"])]
            return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found}
        if name not in self.pods:
            return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        if where["log"]:
            return 200, self.logs.get(name, "")
        if method == "PATCH":
            assert body
            self.pods[name]["metadata"]["labels"] |= body["metadata"]["labels"]
        return 200, self.pods.pop(name) if method == "DELETE" else self.pods[name]

    def make(self, pod: Object) -> Object:
        """Create a pod. Also checks label values, which no schema checks."""
        assert not [value for value in pod["metadata"]["labels"].values() if not LABEL.fullmatch(value)]
        self.pods[pod["metadata"]["name"]] = pod
        ended = self.work(pod)
        return self.end(pod, *ended) if ended else self.put(pod, "Running", {"running": {"startedAt": MADE}})

    def end(self, pod: Object, code: int, log: str = "", reason: str = "") -> Object:
        """End a pod's container."""
        self.logs[pod["metadata"]["name"]] = log
        state = {"exitCode": code, "reason": reason or ("Error" if code else "Completed"), "message": log[-2048:]}
        return self.put(pod, "Failed" if code else "Succeeded", {"terminated": state})

    def put(self, pod: Object, phase: str, state: Object) -> Object:
        """Set a pod's phase and its container's state."""
        metadata = {"uid": pod["metadata"]["name"], "creationTimestamp": MADE} | pod["metadata"]
        container = {"name": "base", "image": "i", "imageID": "i", "ready": False, "restartCount": 0, "state": state}
        made = pod | {"metadata": metadata, "status": {"phase": phase, "containerStatuses": [container]}}
        self.pods[metadata["name"]] = made
        return made

    @property
    def made(self) -> list[Object]:
        """All requested pods, as in the requests."""
        return [body for method, _, body in self.asked if method == "POST" and body]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def kubeconfig(server: ThreadingHTTPServer, path: Path) -> str:
    """A kubeconfig file for a server."""
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }))  # fmt: skip
    path.chmod(0o600)
    return str(path)


def fits(selector: str, labels: dict[str, str]) -> bool:
    """Whether a label selector matches these labels. Only Airflow's forms: a=b, a!=b and !a."""
    for term in filter(None, selector.split(",")):
        key, unequal, value = term.partition("!=") if "!=" in term else term.partition("=")
        met = key[1:] not in labels if key.startswith("!") else (labels.get(key) == value) is (unequal == "=")
        if not met:
            return False
    return True
