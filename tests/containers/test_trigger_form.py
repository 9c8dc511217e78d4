"""The trigger form in a real browser: the shown fields, and that the run's conf equals the input.

Runs on the stack. TESTS_AIRFLOW names another Airflow without login, such as that of `make ui`.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import (
    element_to_be_clickable,
    invisibility_of_element_located,
    visibility_of_element_located,
)
from selenium.webdriver.support.wait import WebDriverWait

from foundry_tasks.contract.form import FRONT, form, sections
from tests.containers.stack import AIRFLOW, request, secret

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

PATIENCE_S = 90
TRIGGER = (By.XPATH, "//button[normalize-space()='Trigger']")
OPEN = "Run Parameters"
"""Airflow's section, which is open at first."""


class Airflow:
    """Airflow's pages and its REST API."""

    def __init__(self, address: str, login: tuple[str, str] | None) -> None:
        self.address, self.login = address, login
        user = dict(zip(("username", "password"), login, strict=True)) if login else None
        answer = request(f"{address}/auth/token", method="POST" if user else "GET", body=user)
        self._headers = {"Authorization": f"Bearer {answer.json['access_token']}"}

    def ask(self, path: str, method: str = "GET", body: dict | None = None):
        return request(f"{self.address}/api/v2/dags/{path}", method=method, body=body, headers=self._headers)

    def runs(self, dag: str) -> dict[str, dict]:
        """Run id → conf."""
        found = self.ask(f"{dag}/dagRuns?limit=100&order_by=-run_after").json["dag_runs"]
        return {run["dag_run_id"]: run["conf"] for run in found}

    @contextmanager
    def paused(self, dag: str) -> Iterator[None]:
        """Pause the DAG. On exit, runs that were added meanwhile are deleted."""
        was, before = self.ask(dag).json["is_paused"], self.runs(dag)
        self.ask(dag, "PATCH", {"is_paused": True})
        try:
            yield
        finally:
            for run in self.runs(dag).keys() - before.keys():
                self.ask(f"{dag}/dagRuns/{run}", "DELETE")
            self.ask(dag, "PATCH", {"is_paused": was})


class Dialog:
    """The dialog of the button Trigger."""

    def __init__(self, browser: webdriver.Chrome, airflow: Airflow, dag: str) -> None:
        self.browser, self.wait = browser, WebDriverWait(browser, PATIENCE_S)
        page = f"{airflow.address}/dags/{dag}"
        browser.get(page)
        if self.wait.until(lambda _: self._logged_in() or browser.find_elements(By.NAME, "username")) is not True:
            for name, value in zip(("username", "password"), airflow.login or (), strict=True):
                browser.find_element(By.NAME, name).send_keys(value)
            browser.find_element(By.NAME, "password").submit()
            self.wait.until(invisibility_of_element_located((By.NAME, "username")))
            browser.get(page)
        self.wait.until(element_to_be_clickable(TRIGGER)).click()
        modal = (By.CSS_SELECTOR, "[role=dialog][aria-modal=true][data-state=open]")
        self.root = self.wait.until(visibility_of_element_located(modal))
        self.wait.until(lambda _: self.keys())

    def _logged_in(self) -> bool:
        return bool(self.browser.find_elements(*TRIGGER))

    def titles(self) -> list[str]:
        return self._texts("button[data-part=item-trigger]")

    def keys(self) -> list[str]:
        """Names of the fields in the open section."""
        return self._texts("[data-part=item-content] label[data-scope=field]")

    def _texts(self, selector: str) -> list[str]:
        """Texts of visible elements."""
        found = "return [...arguments[0].querySelectorAll(arguments[1])].filter(one => one.offsetParent)"
        return self.browser.execute_script(f"{found}.map(one => one.innerText.trim())", self.root, selector)

    def open(self, title: str) -> None:
        self.click(self.root.find_element(By.XPATH, f".//button[normalize-space()='{title}']"))

    def field(self, key: str, control: str = "input, textarea") -> WebElement:
        """The input element in the row of a key."""
        row = f"//label[@data-scope='field'][normalize-space()='{key}']/ancestor::*[@data-scope='field'][@data-part='root']"
        found = self.wait.until(visibility_of_element_located((By.XPATH, row)), f"no field {key}")
        return self._in_sight(found.find_element(By.CSS_SELECTOR, control))

    def _in_sight(self, found: WebElement) -> WebElement:
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        return found

    def click(self, found: WebElement) -> None:
        """Click once nothing covers the element: elements move while sections open and close."""
        wait = WebDriverWait(self.browser, PATIENCE_S, ignored_exceptions=[ElementClickInterceptedException])
        wait.until(lambda _: self._in_sight(found).click() is None)

    def choose(self, key: str, *values: str) -> None:
        """Choose options of a select with one or several values."""
        for value in values:
            self.field(key).send_keys(value, Keys.ENTER)

    def trigger(self) -> None:
        unpause = self.root.find_element(By.CSS_SELECTOR, "input[type=checkbox]")
        if unpause.is_selected():
            self.browser.execute_script("arguments[0].click()", unpause)
        self.click(self.root.find_element(By.XPATH, ".//button[normalize-space()='Trigger']"))


@pytest.fixture(scope="module")
def airflow(request):
    if address := os.environ.get("TESTS_AIRFLOW"):
        return Airflow(address.rstrip("/"), None)
    request.getfixturevalue("stack")
    return Airflow(AIRFLOW, ("admin", secret("airflow_admin_password")))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no browser to drive: install Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "force-prefers-reduced-motion"),
        *("disable-background-networking", "disable-component-update", "disable-sync", "lang=en-US"),
        *("window-size=1280,1000", f"user-data-dir={tmp_path_factory.mktemp('profile')}"),
    ):
        options.add_argument(f"--{flag}")
    driven = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield driven
    driven.quit()


def filled_in(conf: dict) -> dict:
    return {key: value for key, value in conf.items() if value is not None}


def added(airflow, dag, before, wait):
    """The conf of the run that is new compared with `before`."""
    new = wait.until(lambda _: airflow.runs(dag).keys() - before.keys())
    assert len(new) == 1
    return airflow.runs(dag)[new.pop()]


@pytest.mark.parametrize("dag", ["foundry_backtest", "foundry_train"])
def test_a_form_shows_what_is_changed_first_and_the_rest_in_titled_sections(airflow, browser, dag):
    dialog = Dialog(browser, airflow, dag)
    assert dialog.keys() == list(FRONT[dag])
    of_key = sections(dag)
    titles = list(dict.fromkeys(title for title in of_key.values() if title))
    assert dialog.titles()[: len(titles) + 1] == [OPEN, *titles]
    for title in titles:
        dialog.open(title)
        wanted = [key for key, its in of_key.items() if its == title]
        dialog.wait.until(lambda _, wanted=wanted: dialog.keys() == wanted, f"{title}: {dialog.keys()}")
        assert "null" not in dialog.root.text.split()


@pytest.mark.parametrize("dag", ["foundry_backtest", "foundry_train"])
def test_a_form_that_nobody_touched_is_an_empty_conf(airflow, browser, dag):
    with airflow.paused(dag):
        before = airflow.runs(dag)
        dialog = Dialog(browser, airflow, dag)
        dialog.trigger()
        assert filled_in(added(airflow, dag, before, dialog.wait)) == {}


def test_a_run_has_the_conf_that_was_filled_in(airflow, browser):
    dag = "foundry_backtest"
    with airflow.paused(dag):
        before = airflow.runs(dag)
        dialog = Dialog(browser, airflow, dag)
        dialog.field("start").send_keys("01042021")
        dialog.choose("horizons", "5", "20")
        dialog.choose("models", "logistic", "xgboost")
        dialog.field("half_spread_bp").send_keys("3.5")
        dialog.open("Prices and universe")
        dialog.choose("source", "yfinance")
        dialog.field("tickers").send_keys("AAPL\nMSFT")
        dialog.open("Expert: fitting")
        dialog.click(dialog.field("per_regime", "[data-scope=switch][data-part=control]"))
        dialog.field("seeds").send_keys("2")
        dialog.trigger()
        conf = filled_in(added(airflow, dag, before, dialog.wait))
    assert conf == {
        "start": "2021-01-04", "horizons": ["5", "20"], "models": ["logistic", "xgboost"], "half_spread_bp": 3.5,
        "source": "yfinance", "tickers": ["AAPL", "MSFT"], "per_regime": True, "seeds": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("conf", "status"),
    [
        ({"horizons": [1, 5], "oracle_aucs": None, "folds": 3, "start": "2021-01-04", "tickers": ["AAPL"]}, 200),
        ({"horizons": ["1", "5"], "models": None}, 200),
        ({"horizons": [0]}, 400),
        ({"horizons": ["61"]}, 400),
        ({"models": ["oracle"]}, 400),
        ({"source": "null"}, 400),
    ],
)
def test_over_rest_a_legal_conf_is_taken_and_another_refused_before_anything_starts(airflow, conf, status):
    conf = {key: value for key, value in conf.items() if key in form("foundry_train")}
    with airflow.paused("foundry_train"):
        asked = {"logical_date": None, "conf": conf}
        answer = airflow.ask("foundry_train/dagRuns", "POST", asked)
        assert answer.status == status, answer.body
