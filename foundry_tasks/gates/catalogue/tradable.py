"""tradable: mean per-session AUC of P(up) against the sign of the return from the first tradable entry."""

import math

from foundry_tasks.contract.documents.gates import GateVerdict
from foundry_tasks.contract.standard_portfolio import STANDARD_PORTFOLIO
from foundry_tasks.gates.case import Case
from foundry_tasks.gates.definition import Answer, GateDefinition
from foundry_tasks.gates.style import ENTRY_NAMES, GateStyle

CHANCE = 0.5


def judge(case: Case) -> Answer:
    """Fails if the lower bound is not above 0.5. There is no near miss: a person cannot trade at a past price either.

    A label usually starts at the close that decided. Nobody can trade there any more, so an edge that ends before the next
    open or the next close ranks the labels and earns nothing.
    """
    import numpy as np

    from foundry_tasks.evaluation.metrics import session_auc

    trading = case.evidence.trading
    if trading is None:
        return Answer(value=math.nan, verdict="undefined", note="there are no prices after the decision")
    returns = trading.forward_return
    interval = case.interval(
        session_auc(case.evidence.p_up, np.where(np.isfinite(returns), returns > 0, np.nan)),
    )
    verdict: GateVerdict = "passed" if interval.lower > CHANCE else "failed"
    note = f"from the {ENTRY_NAMES[trading.entry]}; {_opens(trading.open_share)}"
    if not interval.defined:
        verdict, note = (
            "undefined",
            f"{interval.blocks} independent blocks, {case.policy.min_blocks} are needed; {note}",
        )
    return Answer.about(interval, verdict, note)


def _opens(share: float) -> str:
    if share == 0:
        return "the prices hold no open"
    needed = f"{STANDARD_PORTFOLIO.min_open_share:.0%}"
    return f"{share:.1%} of the forecasts have an open in the next session, {needed} are needed to trade there"


GATE = GateDefinition(
    name="tradable",
    order=12,
    question="Does P(up) rank the returns that can still be traded?",
    threshold=lambda _: f"lower bound > {CHANCE:g}",
    judge=judge,
    style=GateStyle(
        "AUC from the first tradable entry",
        marks=lambda _: (CHANCE,),
        good=lambda _: (CHANCE, math.inf),
    ),
)
