"""JSON documents of stages: one module per stage, one frozen model per document. Imports pydantic and the standard library."""

from foundry_tasks.contract.documents.audit import Audit
from foundry_tasks.contract.documents.base import Document, Figure, HorizonsDocument, Interval
from foundry_tasks.contract.documents.decide import Decision
from foundry_tasks.contract.documents.ensemble import BaseRates, Comparison
from foundry_tasks.contract.documents.features import Features
from foundry_tasks.contract.documents.gates import Diagnostics, Gate, GateReport, Gates, HorizonGates, TrialFigures
from foundry_tasks.contract.documents.leakage import Leakage
from foundry_tasks.contract.documents.models import Fold, Folds, Importance, Window
from foundry_tasks.contract.documents.monitor import Monitor
from foundry_tasks.contract.documents.nulls import Nulls
from foundry_tasks.contract.documents.portfolio import Portfolio
from foundry_tasks.contract.documents.predict import Predictions, Versions
from foundry_tasks.contract.documents.prices import Prices
from foundry_tasks.contract.documents.promote import Promotion, Promotions
from foundry_tasks.contract.documents.refit import Refit, Refits
from foundry_tasks.contract.documents.report import Report
from foundry_tasks.contract.documents.simulate import Simulation

__all__ = [
    "Audit",
    "BaseRates",
    "Comparison",
    "Decision",
    "Diagnostics",
    "Document",
    "Features",
    "Figure",
    "Fold",
    "Folds",
    "Gate",
    "GateReport",
    "Gates",
    "HorizonGates",
    "HorizonsDocument",
    "Importance",
    "Interval",
    "Leakage",
    "Monitor",
    "Nulls",
    "Portfolio",
    "Predictions",
    "Prices",
    "Promotion",
    "Promotions",
    "Refit",
    "Refits",
    "Report",
    "Simulation",
    "TrialFigures",
    "Versions",
    "Window",
]
