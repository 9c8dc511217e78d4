"""Branch coverage of the templates: every `if` and `with` is both taken and not taken, and every `fail` is reached."""

import re
import shutil

import pytest

from tests.chart.helm import CHART, EVERY, Refused, files

TEMPLATES = sorted(path for path in (CHART / "templates").rglob("*") if path.suffix in {".yaml", ".tpl", ".txt"})
READ_BACK = {"web/_web.tpl"}
"""Templates whose output is parsed as YAML by other templates, so marks would be lost; test_web.py covers them."""
ACTION = re.compile(r"\{\{-?\s*(if|with|range|define|else|end|fail)\b.*?\}\}", re.DOTALL)

REFUSED = {
    "stages.namespace must not be the release's namespace": ['stages.namespace="foundry"'],
    "cannot generate the passwords of an external database or object store": [
        "s3.enabled=false",
    ],
    "externalDatabase.mlflowUrl and postgres.enabled are both set": [
        'externalDatabase.mlflowUrl="postgresql://mlflow@db/mlflow"'
    ],
    "postgres.enabled=false leaves MLflow without a database": ["postgres.enabled=false", 'secrets.existing="s"'],
    "externalObjectStore.endpoint and s3.enabled are both set": ['externalObjectStore.endpoint="https://s3"'],
    "airflow.existing names an existing Airflow": ['airflow.existing.namespace="airflow"'],
    "airflow.enabled=false: without an Airflow no stage starts": ["airflow.enabled=false"],
    "web.ingress and web.gateway are both enabled": ["web.ingress.enabled=true", "web.gateway.enabled=true"],
    "is enabled and no page has a host": ["web.ingress.enabled=true"],
    "block web.ingress or web.gateway": ["web.ingress.enabled=true", 'web.hosts.mlflow="m.example.org"'],
    "web.gateway.enabled needs a Gateway": [
        "web.gateway.enabled=true", 'web.hosts.mlflow="m.example.org"', "networkPolicy.enabled=false",
    ],
    "metrics.serviceMonitor has nothing to scrape": ["metrics.serviceMonitor.enabled=true"],
    "metrics.kind=otel needs a collector": ['metrics.kind="otel"'],
    "mlflow.autoscaling: minReplicas is 9 and maxReplicas 5": ["mlflow.autoscaling.minReplicas=9"],
    "markets holds helm_test.toml": ['markets={"helm_test.toml":""}'],
}  # fmt: skip
"""Message of the chart → values that cause it."""


def marked(text: str, name: str) -> tuple[str, set[str]]:
    """A template with marks in its branches, and their names. An `if` that only fails has no taken branch."""
    pieces, branches, open_ones, last = [], set(), [], 0

    def mark(branch):
        branches.add(branch)
        return f"\n# went {branch}\n"

    for action in ACTION.finditer(text):
        word = action[1]
        pieces.append(text[last : action.start()])
        if word in {"else", "end"} and open_ones[-1]:
            where = open_ones[-1]
            if word == "else":
                assert "if" not in action[0], f"{where}: write `else if` as an `if` in an `else`"
                open_ones[-1] = ""
                pieces.append(action[0] + mark(f"{where} not"))
            else:
                pieces.append("{{- else }}" + mark(f"{where} not") + action[0])
        else:
            pieces.append(action[0])
        if word in {"if", "with"}:
            where = f"{name}:{text.count(chr(10), 0, action.start()) + 1}"
            open_ones.append(where)
            if not re.match(r"\s*\{\{- fail", text[action.end() :]):
                pieces.append(mark(f"{where} taken"))
        elif word in {"range", "define"}:
            open_ones.append("")
        elif word == "end":
            open_ones.pop()
        last = action.end()
    assert not open_ones, f"{name} is not closed"
    return "".join([*pieces, text[last:]]), branches


@pytest.fixture(scope="module")
def marked_chart(tmp_path_factory):
    """A copy of the chart with marked templates, and the names of all branches."""
    copy = tmp_path_factory.mktemp("marked") / "foundry"
    shutil.copytree(CHART, copy)
    branches = set()
    for path in TEMPLATES:
        name = str(path.relative_to(CHART / "templates"))
        if name in READ_BACK:
            continue
        text, found = marked(path.read_text(), name)
        (copy / "templates" / name).write_text(text)
        branches |= found
    return copy, branches


def test_every_if_is_taken_in_one_render_and_not_in_another(helm, marked_chart):
    chart, branches = marked_chart
    went = set()
    for values in EVERY:
        text = helm.run("install", "foundry", str(chart), "-n", "foundry", "--dry-run=client", *files(values))
        went |= set(re.findall(r"# went (.+)", text))
    assert len(branches) > 100
    assert went <= branches
    assert not branches - went, sorted(branches - went)


def test_a_branch_that_no_render_takes_is_found():
    text, branches = marked("{{- if .Values.a }}\nx: 1\n{{- else }}\nx: 2\n{{- end }}\n", "t.yaml")
    assert branches == {"t.yaml:1 taken", "t.yaml:1 not"}
    assert text.index("# went t.yaml:1 taken") < text.index("x: 1") < text.index("# went t.yaml:1 not")


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_meant_is_refused_with_a_sentence(helm, sentence):
    with pytest.raises(Refused) as refusal:
        helm.text("default", *REFUSED[sentence])
    assert sentence in str(refusal.value)


def test_every_refusal_has_values_that_bring_it_about():
    fails = re.findall(r"\{\{- fail \(?(?:printf )?\"(.+?)\"", (CHART / "templates" / "checks.yaml").read_text())
    assert len(fails) == len(REFUSED)
    said = [text.replace("%s", "mlflow").replace("%v", "9", 1).replace("%v", "5") for text in fails]
    assert not [text for text in said if not any(sentence in text for sentence in REFUSED)]
