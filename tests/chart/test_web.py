"""The pages: hosts, their addresses in links, and Ingress or HTTPRoutes."""

import pytest

from tests.chart.helm import workloads


def told(helm, name, values="default"):
    return {one["name"]: one["value"] for one in workloads(helm.objects(values))[name]["spec"]["containers"][0]["env"]}


def test_an_ingress_sends_each_host_to_its_page(helm):
    spec = helm.find("Ingress", "foundry", "values-production")["spec"]
    sent = {rule["host"].partition(".")[0]: rule["http"]["paths"][0]["backend"]["service"] for rule in spec["rules"]}
    assert sent == {
        "airflow": {"name": "foundry-api-server", "port": {"number": 8080}},
        "mlflow": {"name": "foundry-mlflow", "port": {"number": 5000}},
        "reports": {"name": "foundry-reports", "port": {"number": 8000}},
    }
    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"secretName": "foundry-tls", "hosts": [rule["host"] for rule in spec["rules"]]}]


def test_a_page_without_a_host_has_no_way_in(helm):
    spec = helm.find("Ingress", "foundry", "ingress-annotated")["spec"]
    assert [rule["host"] for rule in spec["rules"]] == ["reports.example.org"]
    assert not {"tls", "ingressClassName"} & set(spec)


def test_a_gateway_has_a_route_a_host(helm):
    routes = [one for one in helm.objects("gateway") if one["kind"] == "HTTPRoute"]
    assert {one["metadata"]["name"]: one["spec"]["hostnames"] for one in routes} == {
        "foundry-airflow": ["airflow.example.org"],
        "foundry-reports": ["reports.example.org"],
    }
    assert all(one["spec"]["parentRefs"] == [{"name": "public", "namespace": "gateways"}] for one in routes)
    assert routes[0]["spec"]["rules"] == [{"backendRefs": [{"name": "foundry-api-server", "port": 8080}]}]


def test_without_an_airflow_of_its_own_there_is_no_page_of_it(helm):
    settings = (
        "web.ingress.enabled=true",
        'web.hosts.airflow="a.example.org"',
        'networkPolicy.ingressFrom=[{"podSelector":{}}]',
    )
    spec = helm.find("Ingress", "foundry", "existing-airflow", *settings)["spec"]
    assert [rule["host"] for rule in spec["rules"]] == ["mlflow.example.org"]


def test_neither_ingress_nor_gateway_is_there_unasked(helm):
    assert not {"Ingress", "HTTPRoute"} & {one["kind"] for one in helm.objects()}


def test_links_lead_to_the_hosts_or_to_forwarded_ports(helm):
    assert told(helm, "foundry-api-server")["FOUNDRY_REPORTS_URL"] == "http://127.0.0.1:8000"
    assert "AIRFLOW__API__BASE_URL" not in told(helm, "foundry-api-server")
    public = told(helm, "foundry-api-server", "values-production")
    assert public["FOUNDRY_REPORTS_URL"] == "https://reports.foundry.internal"
    assert public["AIRFLOW__API__BASE_URL"] == "https://airflow.foundry.internal"
    assert told(helm, "foundry-reports", "values-production")["MLFLOW_URL"] == "https://mlflow.foundry.internal"


@pytest.mark.parametrize(("values", "host"), [("default", ""), ("values-production", "mlflow.foundry.internal")])
def test_mlflow_answers_under_the_names_that_it_is_called_by(helm, values, host):
    names = told(helm, "foundry-mlflow", values)["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    uri = told(helm, "foundry-scheduler", values)["FOUNDRY_MLFLOW_URI"].removeprefix("http://")
    assert {uri, "foundry-mlflow:5000", "127.0.0.1:*", "localhost:*"} <= set(names)
    assert names[4:] == ([host] if host else [])


# ------------------------------------------------------------------ what Airflow measures
def test_nothing_is_measured_unasked(helm):
    assert not [key for key in told(helm, "foundry-scheduler") if "STATSD" in key or "OTEL" in key]
    assert "foundry-statsd" not in workloads(helm.objects())


def test_statsd_goes_to_the_exporter_that_prometheus_finds(helm):
    airflow = told(helm, "foundry-scheduler", "service-monitor")
    assert airflow["AIRFLOW__METRICS__STATSD_ON"] == "True"
    service = helm.find("Service", airflow["AIRFLOW__METRICS__STATSD_HOST"], "service-monitor")
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {
        "statsd": int(airflow["AIRFLOW__METRICS__STATSD_PORT"]),
        "metrics": 9102,
    }
    monitor = helm.find("ServiceMonitor", "foundry-statsd", "service-monitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] == "metrics"


def test_otel_goes_to_the_collector(helm):
    airflow = told(helm, "foundry-scheduler", "otel-and-webhook")
    assert airflow["AIRFLOW__METRICS__OTEL_ON"] == "True"
    assert airflow["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.observability:4318"
