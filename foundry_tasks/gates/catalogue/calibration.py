"""calibration: slope of the outcome on the logits of P(up), and mean outcome minus mean P(up)."""

import math
from typing import TYPE_CHECKING

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import GateStyle, writer

if TYPE_CHECKING:
    from foundry_tasks.statistics.block_means import Interval

MIN_SLOPE = 0.5
"""Half way between a calibrated forecast and one without skill."""
REFUSAL_CONFIDENCE = 0.60
"""Two-sided; its upper bound alone has 80 %. At 95 % a forecast without skill that shares a style with its market is refused too
seldom (docs/evidence.md, calibration)."""
_slope, _gap = writer(".2f"), writer("+.4f")


def judge(case: Case) -> Answer:
    """Fails if the slope is below MIN_SLOPE, or the whole interval of the gap beyond ± max_calibration_gap.

    The slope is below if its interval at level REFUSAL_CONFIDENCE is. Warns if its interval at the policy's level does not
    hold 1, or holds both 0 and 1. Without dispersion of P(up) there is no slope: not applicable.

    `max_calibration_gap` is 0.03 because base rates move: between years from 2000 to 2024 the share of up labels of S&P 500
    stocks was 48 to 55 % at 1 day, 47 to 59 % at 5 and 44 to 67 % at 20. Over 750 sessions the base rate known at the time
    was wrong by up to 0.027, 0.040 and 0.067, but no interval of this gap lay wholly beyond ± 0.02.
    """
    from foundry_tasks.statistics.block_means import BlockRule
    from foundry_tasks.statistics.calibration_slope import calibration_gap, calibration_slope

    e, limit = case.evidence, case.policy.max_calibration_gap
    slope = calibration_slope(e.p_up, e.up, horizon=e.horizon, rule=case.rule)
    gap = calibration_gap(e.p_up, e.up, horizon=e.horizon, rule=case.rule)
    strict = BlockRule(REFUSAL_CONFIDENCE, case.policy.min_blocks)
    bound = calibration_slope(e.p_up, e.up, horizon=e.horizon, rule=strict).upper
    verdict, why = _of_slope(slope, bound, case.policy.min_blocks)
    if gap.lower > limit or gap.upper < -limit:
        verdict, why = "failed", f"the mean of P(up) is off by more than {limit:g}; {why}"
    means = f"mean outcome − mean P(up): {_gap(gap.value)}"
    bounds = f" [{_gap(gap.lower)}, {_gap(gap.upper)}]" if gap.defined else ""
    return Answer.about(slope, verdict, f"{why}; {means}{bounds}")


def _of_slope(slope: "Interval", bound: float, min_blocks: int) -> tuple[GateVerdict, str]:
    """Verdict on the slope, and its reason. bound: upper bound at level REFUSAL_CONFIDENCE."""
    if math.isnan(slope.value):
        return "passed", "slope not applicable: P(up) has no dispersion within sessions"
    if not slope.defined:
        return "undefined", f"{slope.blocks} independent blocks, {min_blocks} are needed"
    found = f"slope {_slope(slope.value)} [{_slope(slope.lower)}, {_slope(slope.upper)}]"
    if bound < MIN_SLOPE:
        level = (1 + REFUSAL_CONFIDENCE) / 2
        return (
            "failed",
            f"{found}, upper bound at {level:.0%} below {MIN_SLOPE:g}: P(up) is overconfident or has no skill",
        )
    return _uncertain(slope, found)


def _uncertain(slope: "Interval", found: str) -> tuple[GateVerdict, str]:
    """Verdict on a slope that may be above MIN_SLOPE, and its reason."""
    if slope.upper < 1:
        return "warned", f"{found} is below 1: P(up) is overconfident"
    if slope.lower > 1:
        return "warned", f"{found} is above 1: P(up) is too cautious"
    if slope.lower <= 0:
        return "warned", f"cannot be told: {found} holds 0 (no skill) and 1 (calibrated)"
    return "passed", f"{found} holds 1"


GATE = GateDefinition(
    name="calibration",
    order=40,
    question="Does P(up) mean what it says?",
    threshold=lambda policy: f"slope not below {MIN_SLOPE:g}, mean not off by more than {policy.max_calibration_gap:g}",
    judge=judge,
    style=GateStyle(
        "Calibration slope",
        _slope,
        marks=lambda _: (MIN_SLOPE,),
        good=lambda _: (MIN_SLOPE, math.inf),
        limits=(-1.0, 3.0),
        note_tells_refusal=True,
    ),
)
