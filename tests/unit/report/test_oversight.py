"""Policy, look, persons' decisions, ledger and code in the report: page, Markdown and terminal."""

import json
from dataclasses import replace

import pytest

from foundry_tasks.contract.artifacts import canonical_json, ledger_key, result_key
from foundry_tasks.contract.config import ReportConfig
from foundry_tasks.contract.documents import Report
from foundry_tasks.contract.environment_variables import REPOSITORY
from foundry_tasks.contract.policy import built_in, policy_digest
from foundry_tasks.contract.stage_io import Code
from foundry_tasks.report.html import write_html
from foundry_tasks.report.markdown import write_markdown
from foundry_tasks.report.summary import render
from foundry_tasks.stages import report
from tests.looked_at import add_look, add_policy, add_version
from tests.unit.report.conftest import PRICES, publish_train_run

WAITS = "2 forecasts were tested on these sessions before"


def judged(run, market, policy="", **look):
    """A train run whose gates have this look."""
    publish_train_run(run, market, until="gates", gates=market.gates().model_copy(update={"policy_digest": policy}))
    io = run.io("gates")
    result = json.loads(run.store.read(result_key(run.dag, run.run_id, "gates", None)))
    io.outputs.metrics |= result["metrics"] | ({"look": look} if look else {})
    io.publish(io.inputs.read(type(market.gates())))
    run.finish(io)
    run.report()
    return run.document()


def texts(run):
    return run.page("report.html"), run.page("report.md"), render(run.store, run.dag, run.run_id)


def plain(text):
    """Text without line breaks of a terminal."""
    return " ".join(text.split())


def test_the_look_and_why_it_cannot_promote_are_in_page_text_and_terminal(new_run, market):
    run = new_run()
    found = judged(run, market, "ab" * 32, number=3, because=WAITS)
    assert (found.oversight.policy, found.oversight.look.number) == ("ab" * 32, 3)
    for text in map(plain, texts(run)):
        assert f"number 3 at these data; {WAITS}" in text
        assert "abababababab" in text


def test_page_and_markdown_say_what_no_report_can_tell(new_run, market):
    run = new_run()
    judged(run, market)
    for text in texts(run)[:2]:
        assert "See docs/evidence.md, What is out of scope." in text
    section = (REPOSITORY / "docs" / "evidence.md").read_text().partition("## What is out of scope\n")[2]
    for words in ("two stores", "registry", "notebooks", "gate code", "price files", "--who"):
        assert words in section.lower(), words


def test_a_first_look_is_said_to_promote_by_itself(new_run, market):
    run = new_run()
    judged(run, market, "ab" * 32, number=1, because="")
    for text in map(plain, texts(run)):
        assert "number 1 at these data; it can promote by itself" in text


@pytest.mark.parametrize("authenticated", [False, True])
def test_who_decided_is_named_and_a_typed_name_is_marked(new_run, market, authenticated):
    run = new_run()
    add_policy(run.store, {"min_auc": 0.53}, authenticated=authenticated)
    add_version(run.store, 1, "challenger", "promoted", why="we trust it", authenticated=authenticated)
    add_version(run.store, 1, "challenger", "promoted", market="elsewhere")
    add_version(run.store, 1, "promoted", horizon=1)
    found = judged(run, market)
    assert [decision.what for decision in found.oversight.decisions] == [
        "policy: min_auc=0.53", "foundry-us-5d version 1 promoted"
    ]  # fmt: skip
    assert found.oversight.ledger_since == "2026-11-20"
    for text in map(plain, texts(run)):
        assert "2026-11-20: we trust it" in text
        assert text.count("person not authenticated") == (0 if authenticated else 2)


def test_a_run_without_a_ledger_has_the_built_in_policy_and_says_that_there_is_no_record(new_run, market):
    run = new_run()
    found = judged(run, market).oversight
    assert (found.policy, found.look, found.decisions) == (policy_digest(built_in()), None, ())
    assert (found.ledger_since, found.ledger_fault) == ("", "")


def test_a_broken_chain_is_said_and_the_report_is_still_made(new_run, market):
    run = new_run()
    add_look(run.store, "a")
    key = ledger_key("evidence", 1)
    run.store.write(key, canonical_json({**json.loads(run.store.read(key)), "number": 7}))
    assert "altered" in judged(run, market).oversight.ledger_fault
    for text in map(plain, texts(run)):
        assert "does not verify" in text


def test_code_is_a_release_only_if_every_stage_ran_the_sources_of_the_release(new_run):
    for versions, expected in ((("1", "1"), True), (("1", "1+edited"), False)):
        run = new_run()
        for stage, version in zip(("prices", "features"), versions, strict=True):
            io = run.io(stage)
            if stage == "prices":
                io.publish(PRICES)
            run.finish(replace(io, environment=replace(io.environment, code=Code(version))))
        io = run.io("report")

        report.run(ReportConfig(), replace(io, environment=replace(io.environment, code=Code("1", is_release=True))))
        assert run.document().oversight.code_is_a_release is expected


def test_a_report_of_a_version_without_looks_is_shown_as_before(document):
    old = {key: value for key, value in json.loads(document.model_dump_json()).items() if key != "oversight"}
    read = Report.model_validate(old)
    assert read.oversight is None
    assert "Policy and looks" not in write_html(read) + write_markdown(read)


def test_names_in_the_ledger_are_escaped(new_run, market):
    run = new_run()
    add_version(run.store, 1, "challenger", "promoted", why="<script>alert(1)</script>")
    judged(run, market)
    assert "<script>" not in run.page("report.html")
