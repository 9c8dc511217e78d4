"""The JSON documents that stages publish: a module a stage, a frozen model a document. Pydantic and the standard library."""

from foundry_tasks.contract.documents.base import Document, Figure, HorizonsDocument, Interval
from foundry_tasks.contract.documents.gates import Beside, Gate, GateReport, Gates, HorizonGates, TrialFigures
from foundry_tasks.contract.documents.leakage import Leakage
from foundry_tasks.contract.documents.models import Fold, Folds, Window
from foundry_tasks.contract.documents.promote import Promotion, Promotions
from foundry_tasks.contract.documents.refit import Refit, Refits
from foundry_tasks.contract.documents.report import Report

__all__ = [
    "Beside",
    "Document",
    "Figure",
    "Fold",
    "Folds",
    "Gate",
    "GateReport",
    "Gates",
    "HorizonGates",
    "HorizonsDocument",
    "Interval",
    "Leakage",
    "Promotion",
    "Promotions",
    "Refit",
    "Refits",
    "Report",
    "TrialFigures",
    "Window",
]
