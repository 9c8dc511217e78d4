"""The part of a Kubernetes API that `helm template --dry-run=server` uses: its kinds, and at most one Secret."""

import json
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from tests.chart.helm import Object

MISSING = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


class Cluster:
    """Knows the kinds of `objects`, has `secret`, and records the requests."""

    def __init__(self, objects: list[Object], secret: Object | None) -> None:
        answers = {"/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"}, **discovery(objects)}
        if secret:
            where = secret["metadata"]
            answers[f"/api/v1/namespaces/{where['namespace']}/secrets/{where['name']}"] = secret
        asked = self.asked = list[str]()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                asked.append(path)
                body = json.dumps(answers.get(path, MISSING)).encode()
                self.send_response(200 if path in answers else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def discovery(objects: list[Object]) -> dict[str, Any]:
    """Path → the API's answer about its kinds."""
    kinds = defaultdict(set)
    for one in objects:
        kinds[one["apiVersion"]].add(one["kind"])
    groups: dict[str, Any] = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    }
    for version, names in kinds.items():
        listing = [
            {"name": f"{kind.lower()}s", "namespaced": kind != "Namespace", "kind": kind, "verbs": ["get"]}
            for kind in sorted(names)
        ]
        root = "/apis" if "/" in version else "/api"
        groups[f"{root}/{version}"] = {"kind": "APIResourceList", "groupVersion": version, "resources": listing}
        if "/" in version:
            known = {"groupVersion": version, "version": version.rpartition("/")[2]}
            group = {"name": version.partition("/")[0], "versions": [known], "preferredVersion": known}
            groups["/apis"]["groups"].append(group)
    return groups
