"""Whether a component of Airflow is at work, as the API server sees it: `health.py scheduler`. No heavy import."""

import json
import os
import sys
import urllib.request

URL = os.environ.get("AIRFLOW_API_SERVER", "http://api-server:8080") + "/api/v2/monitor/health"

with urllib.request.urlopen(URL, timeout=8) as answer:  # noqa: S310 - the address is the operator's own
    status = json.load(answer)[sys.argv[1]]["status"]
sys.exit(0 if status == "healthy" else f"{sys.argv[1]} is {status}")
