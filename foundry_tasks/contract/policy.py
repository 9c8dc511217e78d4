"""The policy of a market: everything that decides a verdict, and which direction of each key is stricter.

The built-in policy is the default of every key. The ledger records each change with the person who made it. A run's conf and
its market file may be stricter; they never loosen a gate. Policies are flat mappings: key of a conf → JSON value.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from foundry_tasks.contract import config as c
from foundry_tasks.contract.artifacts import digest_of
from foundry_tasks.contract.config import did_you_mean
from foundry_tasks.contract.errors import ConfigError
from foundry_tasks.contract.plain import Conf, ConfValue
from foundry_tasks.contract.stages import check_conf, conf_fields

Policy = Mapping[str, JsonValue]
Rule = Literal["higher", "lower", "narrower", "fixed", "planned"]
"""higher, lower, narrower: the stricter direction. fixed: no run may differ. planned: a run may differ, but then it is an
experiment, whose version needs a person's approval."""

GATES: Mapping[str, Rule] = {
    "min_auc": "higher",
    "min_auc_lower": "higher",
    "min_wfe": "higher",
    "warn_wfe": "higher",
    "max_calibration_gap": "lower",
    "min_spread_ratio": "higher",
    "max_sign_gap": "lower",
    "min_coverage": "higher",
    "min_champion_difference": "higher",
    "promotion_window_sessions": "higher",
    "min_null_refits": "higher",
    "confidence": "fixed",
    "resamples": "fixed",
    "min_blocks": "fixed",
}
"""Keys of `GatePolicy`. A run with a looser or another fixed value is refused."""

EVIDENCE: Mapping[str, Rule] = {
    "min_rank_correlation": "higher",
    "spread_ratio_band": "narrower",
    "audit_dates": "higher",
    **dict.fromkeys((*c.LabelsConfig.model_fields, *c.WalkConfig.model_fields), "planned"),
}
"""Keys that shape the evidence: refit, leakage audit, labels, horizons, walk. A run with a looser or another value is an
experiment."""

RULES: Mapping[str, Rule] = {**GATES, **EVIDENCE}


def built_in() -> Policy:
    """The policy of a market whose ledger has no change of it."""
    fields = conf_fields()
    return {key: to_jsonable_python(fields[key].get_default(call_default_factory=True)) for key in RULES}


def policy_digest(policy: Policy) -> str:
    """SHA-256 of a policy."""
    return digest_of(dict(policy))


def looser(key: str, value: ConfValue, than: ConfValue) -> bool:
    """Whether a value of a key is looser than another. A different value of a key without a stricter direction is looser.

    >>> looser("min_auc", 0.51, 0.52), looser("min_auc", 0.53, 0.52), looser("resamples", 5000, 2000)
    (True, False, True)
    >>> looser("spread_ratio_band", [0.9, 1.1], [0.8, 1.25]), looser("spread_ratio_band", [0.9, 1.3], [0.8, 1.25])
    (False, True)
    """
    rule = RULES[key]
    if isinstance(value, int | float) and isinstance(than, int | float):
        if rule in {"higher", "lower"}:
            return value < than if rule == "higher" else value > than
    elif rule == "narrower" and isinstance(value, Sequence) and isinstance(than, Sequence):
        return any(map(_outside, value, than, ("higher", "lower")))
    return value != than


def _outside(bound: ConfValue, than: ConfValue, rule: str) -> bool:
    known = isinstance(bound, int | float) and isinstance(than, int | float)
    return known and (bound < than if rule == "higher" else bound > than)  # type: ignore[operator] # known to be numbers


def checked_changes(changes: Conf) -> Policy:
    """Changes of a policy, validated. Raises ConfigError for an unknown key or an impossible value."""
    for key in changes:
        if key not in RULES:
            raise ConfigError(f"{key} is no key of a policy{did_you_mean(key, RULES)} The keys are {', '.join(RULES)}.")
    return check_conf(changes)


def refuse_looser(conf: Conf, policy: Policy, market: str) -> None:
    """Raise ConfigError if a conf, merged over its market file, loosens a gate. Lists every such key."""
    faults = [
        f"{key}={conf[key]!r}: the policy of market {market} {_says(key, policy[key])}. Leave {key} out of the conf and of "
        f"the market file, or change the policy: foundry policy set {market} {key}={conf[key]} --why …"
        for key in GATES
        if key in conf and looser(key, to_jsonable_python(conf[key]), policy[key])
    ]
    if faults:
        raise ConfigError(*faults)


def stricter(policy: Policy, given: Conf) -> Policy:
    """The policy of one run: each gate's stricter value of the market's policy and of the run's conf."""
    asked = {key: to_jsonable_python(given[key]) for key in GATES if key in given}
    return {**policy, **{key: value for key, value in asked.items() if not looser(key, value, policy[key])}}


def gate_policy(policy: Policy) -> c.GatePolicy:
    """The part of a policy that the gates read."""
    return c.GatePolicy.model_validate({key: policy[key] for key in GATES})


def deviations(confs: Iterable[Conf], policy: Policy) -> tuple[str, ...]:
    """How a run's evidence differs from what the policy plans, one phrase a key; empty for a run as planned.

    confs: the complete confs of the stages that made the evidence.
    """
    found = {key: to_jsonable_python(conf[key]) for conf in confs for key in EVIDENCE if key in conf}
    return tuple(
        f"{key} is {_text(value)}, the policy says {_text(policy[key])}"
        for key, value in found.items()
        if looser(key, value, policy[key])
    )


def _says(key: str, value: JsonValue) -> str:
    return {
        "higher": f"allows {_text(value)} or more",
        "lower": f"allows {_text(value)} or less",
        "narrower": f"allows {_text(value)} or a narrower band",
    }.get(RULES[key], f"fixes it at {_text(value)}")


def _text(value: JsonValue) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else "empty" if value is None else str(value)
