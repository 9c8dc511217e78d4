"""earns: cost of a trade at which the standard portfolio's mean P&L is zero, against the cost that is assumed."""

import math

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.contract.standard_portfolio import STANDARD_PORTFOLIO
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import ENTRY_NAMES, GateStyle, writer


def judge(case: Case) -> Answer:
    """Warns unless the lower bound of the break-even cost is above the assumed cost. It refuses no model.

    A ranking that does not pay for its trades can still choose among trades that are made for another reason.
    """
    trading = case.evidence.trading
    if trading is None:
        return Answer(value=math.nan, verdict="warned", note="there are no prices after the decision")
    portfolio = trading.portfolio
    interval = case.interval(portfolio.break_even_by_session)
    if not math.isfinite(interval.value):
        return Answer(value=math.nan, verdict="warned", note="the standard portfolio trades nothing")
    verdict: GateVerdict = "passed" if interval.lower > STANDARD_PORTFOLIO.cost_bp else "warned"
    note = (
        f"of the traded value; the standard portfolio trades {portfolio.turnover.mean():.0%} of the capital a session, at the "
        f"{ENTRY_NAMES[portfolio.entry]}"
    )
    if not interval.defined:
        note = f"{interval.blocks} independent blocks, {case.policy.min_blocks} are needed; {note}"
    return Answer.about(interval, verdict, note)


GATE = GateDefinition(
    name="earns",
    order=14,
    question="Does the standard portfolio earn more than its trades cost?",
    threshold=lambda _: f"warns unless lower bound > {STANDARD_PORTFOLIO.cost_bp:g} bp, the assumed cost",
    judge=judge,
    style=GateStyle(
        "Break-even cost",
        writer(".1f", 1, " bp"),
        marks=lambda _: (STANDARD_PORTFOLIO.cost_bp,),
        good=lambda _: (STANDARD_PORTFOLIO.cost_bp, math.inf),
    ),
)
