"""Health check of an Airflow component by the API server: `health.py scheduler`. Starts without heavy imports."""

import json
import os
import sys
import urllib.request

URL = os.environ.get("AIRFLOW_API_SERVER", "http://api-server:8080") + "/api/v2/monitor/health"

with urllib.request.urlopen(URL, timeout=8) as answer:  # noqa: S310 - the operator sets the address
    status = json.load(answer)[sys.argv[1]]["status"]
sys.exit(0 if status == "healthy" else f"{sys.argv[1]} is {status}")
