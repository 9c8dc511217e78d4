"""The policy of a market: no conf loosens it, and each looser key is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundry_tasks.contract.config import GatePolicy
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.policy import (
    EVIDENCE,
    GATES,
    RULES,
    built_in,
    checked_changes,
    deviations,
    gate_policy,
    looser,
    policy_digest,
    refuse_looser,
    stricter,
)

POLICY = built_in()


def moved(key, by):
    """A possible value of a key, in the stricter direction for by > 0, and looser or another one for by < 0."""
    old, rule = POLICY[key], RULES[key]
    sign = by if rule != "lower" else -by
    if rule == "narrower":
        return [old[0] + 0.1 * by, old[1] - 0.1 * by]
    if isinstance(old, bool) or not isinstance(old, int | float):
        return {"walk": "rolling", "label_entry": "next_open", "horizons": [1]}.get(key, 5)
    if isinstance(old, int):
        return max(old + 10 * sign, 1) if key in {"resamples", "promotion_window_sessions"} else old + sign
    return old + 0.01 * sign


@pytest.mark.parametrize("key", GATES)
def test_a_conf_with_a_looser_or_another_value_is_refused_by_its_name(key):
    with pytest.raises(ConfigError, match=rf"^{key}="):
        refuse_looser({key: moved(key, -1)}, POLICY, "us")
    refuse_looser({key: POLICY[key]}, POLICY, "us")
    if GATES[key] != "fixed":
        refuse_looser({key: moved(key, 1)}, POLICY, "us")


@pytest.mark.parametrize("key", EVIDENCE)
def test_a_run_with_looser_or_other_evidence_says_how_it_differs(key):
    assert deviations([{key: moved(key, -1)}], POLICY)[0].startswith(f"{key} is ")
    assert deviations([{key: POLICY[key]}], POLICY) == ()
    refuse_looser({key: moved(key, -1)}, POLICY, "us")
    assert bool(deviations([{key: moved(key, 1)}], POLICY)) is (EVIDENCE[key] == "planned")


CONFS = st.dictionaries(st.sampled_from(sorted(GATES)), st.integers(-3, 3)).map(
    lambda steps: {key: moved(key, by) if by else POLICY[key] for key, by in steps.items()}
)


@given(CONFS, CONFS)
@settings(max_examples=200)
def test_no_conf_loosens_a_policy(agreed, conf):
    policy = {**POLICY, **agreed}
    judged_by = stricter(policy, conf)
    for key in RULES:
        assert not looser(key, judged_by[key], policy[key])
        allowed = key in conf and not looser(key, conf[key], policy[key])
        assert judged_by[key] == (conf[key] if allowed else policy[key])


@given(CONFS, CONFS)
@settings(max_examples=200)
def test_a_refusal_names_each_looser_key_and_no_other(agreed, conf):
    policy = {**POLICY, **agreed}
    expected = [key for key in GATES if key in conf and looser(key, conf[key], policy[key])]
    try:
        refuse_looser(conf, policy, "us")
        named = []
    except ConfigError as error:
        named = [fault.split("=")[0] for fault in error.faults]
    assert named == expected


def test_the_built_in_policy_is_the_default_of_every_key_and_the_gates_read_their_part():
    assert set(POLICY) == set(RULES)
    assert GatePolicy.model_fields.keys() == GATES.keys()
    assert {key: getattr(gate_policy(POLICY), key) for key in GATES} == {key: POLICY[key] for key in GATES}
    assert policy_digest(POLICY) == policy_digest(built_in()) != policy_digest({**POLICY, "min_auc": 0.53})


@pytest.mark.parametrize("changes", [{"seed": 3}, {"min_acu": 0.5}, {"min_auc": "much"}, {"resamples": -1}])
def test_an_unknown_key_and_an_impossible_value_are_no_change_of_a_policy(changes):
    with pytest.raises(ConfigError):
        checked_changes(changes)
