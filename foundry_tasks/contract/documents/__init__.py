"""The JSON documents that stages publish: a module a stage, a frozen model a document. Pydantic and the standard library."""

from foundry_tasks.contract.documents.base import Document, Figure, HorizonsDocument, Interval
from foundry_tasks.contract.documents.features import Features
from foundry_tasks.contract.documents.leakage import Leakage
from foundry_tasks.contract.documents.models import Fold, Folds, Window
from foundry_tasks.contract.documents.portfolio import Portfolio
from foundry_tasks.contract.documents.prices import Prices
from foundry_tasks.contract.documents.report import Report
from foundry_tasks.contract.documents.simulate import Simulation

__all__ = [
    "Document",
    "Features",
    "Figure",
    "Fold",
    "Folds",
    "HorizonsDocument",
    "Interval",
    "Leakage",
    "Portfolio",
    "Prices",
    "Report",
    "Simulation",
    "Window",
]
