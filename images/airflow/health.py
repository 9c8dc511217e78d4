"""Whether a component of Airflow is at work, as the API server sees it: `health.py scheduler`. No heavy import."""

import json
import sys
import urllib.request

URL = "http://api-server:8080/api/v2/monitor/health"

with urllib.request.urlopen(URL, timeout=8) as answer:
    status = json.load(answer)[sys.argv[1]]["status"]
sys.exit(0 if status == "healthy" else f"{sys.argv[1]} is {status}")
