"""The steps that a ranking reaches, as banner, terminal and Markdown show them."""

import pytest

from foundry_tasks.contract.documents import Gate, Gates
from foundry_tasks.report.reached import reached
from foundry_tasks.report.summary import render


def changed(gates: Gates, **verdicts: str) -> Gates:
    """The document with these gates at every horizon, gate → verdict, `absent` to leave one out."""

    def of(gate: Gate) -> Gate:
        return gate.model_copy(update={"verdict": verdicts.get(gate.name, gate.verdict)})

    kept = {
        horizon: tuple(of(gate) for gate in item.gates if verdicts.get(gate.name) != "absent")
        for horizon, item in gates.horizons.items()
    }
    horizons = {h: item.model_copy(update={"gates": kept[h]}) for h, item in gates.horizons.items()}
    return gates.model_copy(update={"horizons": horizons})


class Trials:
    def __init__(self, deflated: float | None) -> None:
        self.deflated = deflated


@pytest.mark.parametrize(
    ("verdicts", "deflated", "step"),
    [
        ({}, 0.99, "earns after costs"),
        ({}, 0.95, "earns after costs"),
        ({}, 0.94, "ranks and can be traded"),
        ({}, None, "ranks and can be traded"),
        ({"earns": "warned"}, 0.99, "ranks and can be traded"),
        ({"earns": "absent"}, 0.99, "ranks and can be traded"),
        ({"tradable": "failed"}, 0.99, "ranks"),
        ({"tradable": "undefined"}, 0.99, "ranks"),
        ({"tradable": "absent", "earns": "absent"}, 0.99, "ranks"),
        ({"auc": "near miss"}, 0.99, ""),
        ({"auc": "failed"}, 0.99, ""),
        ({"leakage": "failed"}, 0.99, ""),
        ({"wfe": "failed"}, 0.99, "earns after costs"),
    ],
)
def test_a_step_needs_its_gate_and_all_steps_below(market, verdicts, deflated, step):
    gates = changed(market.gates(), **({"auc": "passed", "tradable": "passed", "earns": "passed"} | verdicts))
    assert reached(gates.horizons[1], Trials(deflated), 0.95) == step


def test_a_model_without_a_verdict_reaches_nothing(market):
    skipped = market.gates().horizons[1].model_copy(update={"verdict": "skipped"})
    assert reached(skipped, Trials(0.99), 0.95) == ""


def shown(run, market, publish, gates: Gates) -> tuple[str, ...]:
    """Headline, page, Markdown and terminal of a run with these gates."""
    publish(run, market, until="gates", gates=gates)
    run.report()
    terminal = render(run.store, run.dag, run.run_id)
    return run.document().status.headline, run.page("report.html"), run.page("report.md"), terminal


def test_a_refused_horizon_says_what_it_reached_in_every_form(new_run, market, publish):
    gates = changed(market.gates(), auc="passed", tradable="failed")
    refused = {h: item.model_copy(update={"verdict": "refused"}) for h, item in gates.horizons.items()}
    headline, page, markdown, terminal = shown(
        new_run(), market, publish, gates.model_copy(update={"horizons": refused})
    )
    assert headline == "Refused at every horizon (ranks)."
    assert '<p class="reached">Ranks</p>' in page
    assert "**1 day: refused (ranks)**" in markdown
    assert "\n1 day: refused (ranks)\n" in terminal


def test_horizons_of_one_verdict_that_reach_different_steps_are_told_apart(new_run, market, publish):
    gates = market.gates()
    ranks = changed(gates, auc="passed", tradable="failed").horizons[5].model_copy(update={"verdict": "refused"})
    gates = gates.model_copy(update={"horizons": {**gates.horizons, 5: ranks}})
    headline, *_ = shown(new_run(), market, publish, gates)
    assert headline == "Passed: 1 day (ranks and can be traded). Refused: 5 days (ranks), 20 days."


def test_gates_of_an_earlier_version_are_shown(new_run, market, publish):
    gates = changed(market.gates(), tradable="absent", earns="absent")
    headline, page, *_ = shown(new_run(), market, publish, gates)
    assert headline == "Passed: 1 and 5 days (ranks). Refused: 20 days."
    assert "first tradable entry" not in page
