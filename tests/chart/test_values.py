"""The values: closed at every level, with descriptions, in agreement with the schema."""

import json

import pytest
import yaml

from tests.chart.helm import CHART, Refused

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


def resolved(schema):
    """A schema with its references resolved."""
    if "allOf" in schema:
        target = SCHEMA["definitions"][schema["allOf"][0]["$ref"].rpartition("/")[2]]
        return {**target, "description": schema["description"]}
    return schema


def levels(schema=SCHEMA, values=DEFAULTS, path=""):
    """(path, schema, defaults) of every level with keys."""
    schema = resolved(schema)
    if "properties" in schema:
        yield path, schema, values
        for name, below in schema["properties"].items():
            yield from levels(below, (values or {}).get(name), f"{path}.{name}".lstrip("."))


def test_every_level_refuses_a_key_that_it_does_not_know():
    assert [path for path, schema, _ in levels() if schema["additionalProperties"] is not False] == []


def test_every_key_is_described():
    missing = [
        f"{path}.{name}"
        for path, schema, _ in levels()
        for name, below in schema["properties"].items()
        if not resolved(below)["description"].endswith(".")
    ]
    assert missing == []


def test_every_key_has_a_default_and_every_default_a_key():
    without = {"global", "tag"}
    for path, schema, values in levels():
        assert set(values) <= set(schema["properties"]), path
        assert set(schema["properties"]) - set(values) <= without, path


@pytest.fixture(scope="module")
def refusal(helm):
    """Helm's message for values with an unknown key at every level below the top."""
    with pytest.raises(Refused) as refused:
        helm.text("default", *(f"{path}.unknwon=1" for path, _, _ in levels() if path))
    return str(refused.value)


@pytest.mark.parametrize("path", [path for path, _, _ in levels() if path])
def test_an_unknown_key_is_refused_where_it_stands(refusal, path):
    assert f"- at '/{path.replace('.', '/')}': additional properties 'unknwon' not allowed\n" in refusal


def test_a_key_unknown_at_the_top_is_refused(helm):
    with pytest.raises(Refused, match="additional properties 'airfow' not allowed"):
        helm.text("default", "airfow={}")


@pytest.mark.parametrize(
    "setting",
    [
        'images.airflow.digest="sha256:1234"', 'image.registry="https://registry"', 'store="foundry"',
        'externalDatabase.mlflowUrl="postgresql://mlflow:secret@db/mlflow"', 'airflow.notify="slack"',
        "airflow.scheduler.replicas=0", 'metrics.kind="prometheus"', 'markets={"SP500.toml":""}',
        "mlflow.resources.limits=null", "externalObjectStore.cidrs=[]",
        'postgres.storage.size="10"', "postgres.uid=0", 'image.pullPolicy="Sometimes"',
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused_by_the_schema(helm, setting):
    with pytest.raises(Refused, match="values don't meet the specifications of the schema"):
        helm.text("default", setting)


def test_a_chart_that_brings_this_one_may_hand_down_its_globals(helm):
    assert helm.text("default", 'global={"region":"eu"}', 'secrets.existing="s"')


# ------------------------------------------------------------------ images
def images(objects):
    return {
        container["image"]
        for one in objects
        if one["kind"] in {"Deployment", "StatefulSet", "Job"}
        for container in one["spec"]["template"]["spec"]["containers"]
    }


def test_one_switch_sends_every_image_to_a_private_registry(helm):
    assert all(image.startswith("registry.example.org/ml/") for image in images(helm.objects("private-registry")))


def test_with_digests_nothing_runs_by_tag(helm):
    assert all("@sha256:" in image for image in images(helm.objects("private-registry")))


def test_a_tag_is_the_charts_own_version_where_none_is_given(helm):
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    own = {image for image in images(helm.objects()) if image.startswith("foundry/")}
    assert {image.rpartition(":")[2] for image in own} == {version}
    assert "foundry/mlflow:latest" in images(helm.objects("values-local"))
