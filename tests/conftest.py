"""For all tests: the shared market data, the order of modules, and failure instead of skips on request."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.s3_server import own_s3_server, s3_server  # noqa: F401 - fixtures

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `foundry` itself does
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")

# Where CI is set, Hypothesis draws the same examples every time: a run fails by what was changed. Elsewhere it looks further.
settings.register_profile(
    "whatever the machine does besides",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.load_profile("whatever the machine does besides")

DATA = Path(os.environ.get("TESTS_MARKET_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


@pytest.fixture(scope="session")
def market_data() -> Path:
    """Folder of the real market data, which is not in the repository."""
    if not (DATA / "README.md").is_file():
        pytest.skip(f"no market data in {DATA}; set TESTS_MARKET_DATA")
    return DATA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order: unit tests, other fast modules, then modules with slow tests, longest first, so that all processes end together."""
    seconds: dict[Path, float] = {}
    for item in items:
        for mark in item.iter_markers("slow"):
            seconds[item.path] = max(seconds.get(item.path, 0), *mark.args, 1)
    unit = Path(__file__).parent / "unit"
    items.sort(key=lambda item: (item.path in seconds, -seconds.get(item.path, 0), unit not in item.path.parents))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """With TESTS_NO_SKIPS a skipped test fails, unless its reason begins with an entry of TESTS_MAY_SKIP.

    TESTS_MAY_SKIP: beginnings of reasons, separated by commas, such as "no helm".
    """
    report = (yield).get_result()
    if report.skipped and os.environ.get("TESTS_NO_SKIPS") and not hasattr(report, "wasxfail"):
        allowed = [reason for reason in os.environ.get("TESTS_MAY_SKIP", "").split(",") if reason]
        if isinstance(report.longrepr, tuple) and report.longrepr[2].startswith(
            tuple(f"Skipped: {one}" for one in allowed)
        ):
            return
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed here: {report.longrepr}"
