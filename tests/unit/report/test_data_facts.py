"""The report's data section says whether universe and sectors are point in time."""

from foundry_tasks.data.sectors import HINDSIGHT
from foundry_tasks.report.wording import data_facts
from tests.unit.report.conftest import PRICES


def sectors(**facts):
    return dict(data_facts(PRICES.model_copy(update=facts)))["sectors"]


def test_sectors_without_dates_are_said_to_be_hindsight():
    assert sectors(sectors=11, sector_dates=HINDSIGHT) == f"11; {HINDSIGHT}"


def test_documents_of_earlier_versions_say_only_how_many_sectors_there_are():
    assert sectors(sectors=11) == "11"
    assert sectors() == "not given"
