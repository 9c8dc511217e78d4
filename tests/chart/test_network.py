"""Allowed connections: the complete table."""

import re

import pytest

from tests.chart.helm import workloads
from tests.chart.policies import Peer, allows, reaches

PORTS = {
    "postgres": (5432,), "s3": (7070,), "mlflow": (5000,), "api-server": (8080,), "reports": (8000,),
    "scheduler": (8793, 8974), "triggerer": (8794,),
}  # fmt: skip
STAGES = Peer("foundry-stages", {"foundry.network": "stages", "foundry.managed": "true"})
PRICES = Peer("foundry-stages", {"foundry.network": "outside", "foundry.managed": "true"})
STRANGER = Peer("default", {"app": "stranger"})
WORLD, NEIGHBOUR, CREDENTIALS = (Peer(address=ip) for ip in ("203.0.113.7", "10.1.2.3", "169.254.169.254"))
API = Peer(address="192.0.2.1")


def policies(helm, values="default"):
    return [one for one in helm.objects(values) if one["kind"] == "NetworkPolicy"]


def peers(helm, values="default"):
    """Name of a component → its pods; also the stages and an unknown pod."""
    found = {
        re.sub(r"-[0-9a-f]{8}$", "", name).removeprefix("foundry-"): Peer("foundry", pod["metadata"]["labels"])
        for name, pod in workloads(helm.objects(values)).items()
    }
    return found | {"stage": STAGES, "prices": PRICES, "stranger": STRANGER}


def table(helm, way):
    """Target → sources that may reach it, by the policies of one end."""
    there, rules = peers(helm), policies(helm)
    return {
        f"{target}:{port}": {
            name
            for name, source in there.items()
            if name not in {target, "stranger"} and allows(rules, way, source, there[target], port)
        }
        for target, ports in PORTS.items()
        for port in ports
    }


@pytest.mark.parametrize("way", ["Egress", "Ingress"])
def test_a_service_is_reached_by_those_who_need_it_and_each_end_says_so(helm, way):
    daemons = {"api-server", "scheduler", "dag-processor", "triggerer"}
    assert table(helm, way) == {
        "postgres:5432": daemons | {"airflow-migrate", "mlflow"},
        "s3:7070": {"scheduler", "mlflow", "reports", "s3-accounts", "stage", "prices", "test"},
        "mlflow:5000": {"mlflow-users", "stage", "test"},
        "api-server:8080": {"scheduler", "dag-processor", "triggerer", "test"},
        "reports:8000": set(),
        "scheduler:8793": {"api-server"},
        "scheduler:8974": set(),
        "triggerer:8794": {"api-server"},
    }


def test_a_stranger_reaches_no_service(helm):
    rules, there = policies(helm), peers(helm)
    reached = {name for name, ports in PORTS.items() for port in ports if reaches(rules, STRANGER, there[name], port)}
    assert reached == set()


def test_nobody_reaches_a_stage(helm):
    rules = policies(helm)
    for name, source in peers(helm).items():
        assert not reaches(rules, source, STAGES, 8080), name


def test_prices_reaches_the_world_but_neither_the_neighbours_nor_a_clouds_credentials(helm):
    rules = policies(helm)
    assert reaches(rules, PRICES, WORLD, 443)
    assert not reaches(rules, PRICES, NEIGHBOUR, 443)
    assert not reaches(rules, PRICES, CREDENTIALS, 80)


def test_nobody_else_reaches_the_world(helm):
    rules = policies(helm)
    out = {name for name, source in peers(helm).items() if reaches(rules, source, WORLD, 80)}
    assert out == {"prices", "stranger"}


def test_the_kubernetes_api_is_for_the_scheduler_and_the_triggerer(helm):
    rules = policies(helm)
    there = peers(helm)
    assert {name for name in there if name != "stranger" and reaches(rules, there[name], API, 6443)} == {
        "scheduler", "triggerer", "prices",
    }  # fmt: skip


def test_everybody_asks_the_clusters_dns(helm):
    rules = policies(helm)
    dns = Peer("kube-system", {"k8s-app": "kube-dns"})
    assert all(reaches(rules, source, dns, 53, "UDP") for source in peers(helm).values())


def test_the_database_and_the_store_of_ones_own_are_reached_by_the_same(helm):
    rules, there = policies(helm, "values-production"), peers(helm, "values-production")
    database = {name for name in there if name != "stranger" and reaches(rules, there[name], NEIGHBOUR, 5432)}
    assert database == {"api-server", "scheduler", "dag-processor", "triggerer", "airflow-migrate", "mlflow"}
    store = {name for name in there if name != "stranger" and reaches(rules, there[name], WORLD, 443)}
    assert store == {"scheduler", "triggerer", "mlflow", "reports", "stage", "prices", "test"}, "triggerer: the API"


def test_browsers_come_from_where_the_ingress_controller_is(helm):
    rules, there = policies(helm, "values-production"), peers(helm, "values-production")
    controller = Peer("ingress-nginx", {})
    for page, port in (("api-server", 8080), ("mlflow", 5000), ("reports", 8000)):
        assert reaches(rules, controller, there[page], port)
        assert not reaches(rules, STRANGER, there[page], port)
    assert not reaches(rules, controller, there["scheduler"], 8793)


def test_an_airflow_of_the_clusters_own_reads_results_from_the_store(helm):
    rules, there = policies(helm, "existing-airflow"), peers(helm, "existing-airflow")
    worker = Peer("airflow", {"component": "worker"})
    assert reaches(rules, worker, there["s3"], 7070)
    assert not reaches(rules, worker, there["postgres"], 5432)


def test_measures_go_to_the_exporter_and_prometheus_fetches_them(helm):
    rules, there = policies(helm, "values-production"), peers(helm, "values-production")
    assert reaches(rules, there["scheduler"], there["statsd"], 9125, "UDP")
    assert not reaches(rules, there["reports"], there["statsd"], 9125, "UDP")
    assert reaches(rules, Peer("monitoring", {}), there["statsd"], 9102)
    assert not reaches(policies(helm, "statsd"), Peer("monitoring", {}), there["statsd"], 9102)


@pytest.mark.parametrize("port", [443, 25])
def test_airflow_reaches_a_webhook_where_it_is_allowed_to_and_nowhere_else(helm, port):
    rules, there = policies(helm, "otel-and-webhook"), peers(helm, "otel-and-webhook")
    assert reaches(rules, there["dag-processor"], WORLD, port) is (port == 443)
    assert not reaches(rules, there["reports"], WORLD, port)


def test_without_network_policies_there_are_none(helm):
    assert policies(helm, "no-network-policies") == []
