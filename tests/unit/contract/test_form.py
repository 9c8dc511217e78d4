"""The trigger form: every key has one place, explains an empty field, and accepts what the stages accept."""

from itertools import chain

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from foundry_tasks.contract.form import FRONT, SECTIONS, form, sections
from foundry_tasks.contract.stages import PIPELINES, STAGES, conf_fields, stage_config

FORMS = {dag: form(dag) for dag in FRONT}


def takes(schema, value):
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).is_valid(value)


# ------------------------------------------------------------------ where a field stands
@pytest.mark.parametrize("dag", FRONT)
def test_every_key_of_a_form_stands_in_one_section_or_at_the_front(dag):
    assert set(FORMS[dag]) == set(conf_fields(PIPELINES[dag]))
    assert list(FORMS[dag]) == list(sections(dag))


def test_a_key_is_declared_in_one_section_and_known_to_a_stage():
    declared = list(chain.from_iterable(SECTIONS.values()))
    assert len(declared) == len(set(declared))
    assert set(declared) | set(chain.from_iterable(FRONT.values())) == set(
        conf_fields(stage for dag in FRONT for stage in PIPELINES[dag])
    )


def test_the_backtest_starts_with_universe_dates_horizons_models_and_costs():
    assert list(FORMS["foundry_backtest"])[:8] == [
        "market", "universe", "start", "end", "horizons", "models", "commission_bp", "half_spread_bp",
    ]  # fmt: skip


@pytest.mark.parametrize("dag", FRONT)
def test_what_is_changed_first_has_no_section_and_experts_sections_come_last(dag):
    fields = FORMS[dag]
    assert len(FRONT[dag]) in {6, 8}
    assert [key for key, schema in fields.items() if "section" not in schema] == list(FRONT[dag])
    expert = ["section" in schema and schema["section"].startswith("Expert: ") for schema in fields.values()]
    assert expert == sorted(expert)
    titles = [schema["section"] for schema in fields.values() if "section" in schema]
    assert titles == sorted(titles, key=titles.index), "the fields of a section stand together"


# ------------------------------------------------------------------ what a field says
@pytest.mark.parametrize("dag", FRONT)
def test_every_field_says_what_it_is_for_and_what_it_means_untouched(dag):
    for key, schema in FORMS[dag].items():
        what, _, empty = schema["description_md"].partition("\n\n")
        assert what.endswith("."), key
        assert empty.startswith("Untouched: " if "boolean" in schema["type"] else "Empty: "), key
        assert len(empty.split()) > 1, key
        assert not {"null", "None", "None.", "[].", '"".', "otherwise."} & set(schema["description_md"].split()), key


@pytest.mark.parametrize("dag", FRONT)
def test_no_select_says_null(dag):
    for key, schema in FORMS[dag].items():
        assert None not in schema.get("examples", ()), key
        if "enum" in schema:
            assert schema["values_display"]["null"].startswith("default: "), key


def test_the_help_names_the_market_file_before_the_default_but_for_the_key_that_names_the_market():
    train = FORMS["foundry_train"]
    assert train["horizons"]["description_md"].endswith("Empty: the market file's value, otherwise 1, 5, 20.")
    assert train["market"]["description_md"].endswith("Empty: us.")
    assert train["per_regime"]["description_md"].endswith("Untouched: the market file's value, otherwise off.")
    assert train["spread_ratio_band"]["description_md"].endswith("otherwise [0.8, 1.25].")
    assert train["source"]["values_display"] == {"null": "default: sample"}


def test_a_field_that_is_filled_in_beforehand_says_so():
    assert form("foundry_daily", {"skip_closed": True})["skip_closed"]["description_md"].endswith("Untouched: on.")


# ------------------------------------------------------------------ what a field takes
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 5000)
    | st.floats(-2, 2)
    | st.sampled_from(["up", "us", "5", "2021-01-04"]),
    lambda one: st.lists(one, max_size=3),
    max_leaves=3,
)


def refused_by(stage, key, value):
    """Whether a stage refuses the value itself, not a missing other key."""
    try:
        STAGES[stage].config.model_validate({key: value})
    except ValidationError as error:
        return any(fault["loc"][:1] == (key,) for fault in error.errors())
    return False


@pytest.mark.parametrize("dag", FRONT)
@given(data=st.data())
def test_what_a_form_takes_no_stage_of_its_dag_refuses(dag, data):
    key = data.draw(st.sampled_from(sorted(FORMS[dag])))
    schema = FORMS[dag][key]
    chosen = [*schema.get("enum", ()), *([one] for one in schema.get("examples", ()))]
    value = data.draw(VALUES | st.sampled_from(chosen) if chosen else VALUES)
    if value is None or not takes(schema, value):
        return
    for stage in PIPELINES[dag]:
        if key in STAGES[stage].config.model_fields:
            assert not refused_by(stage, key, value), stage


@pytest.mark.parametrize("dag", FRONT)
def test_an_empty_field_and_every_default_fit(dag):
    for key, schema in FORMS[dag].items():
        assert takes(schema, None), key
    for stage in PIPELINES[dag]:
        for key, value in stage_config(stage, {}).model_dump(mode="json").items():
            assert takes(FORMS[dag][key], value), key


def test_what_a_list_of_choices_sends_is_what_the_stages_take():
    assert takes(FORMS["foundry_train"]["horizons"], ["5", "20"])
    assert stage_config("labels", {"horizons": ["5", "20"]}) == stage_config("labels", {"horizons": [5, 20]})
    assert not takes(FORMS["foundry_train"]["horizons"], ["61"])
