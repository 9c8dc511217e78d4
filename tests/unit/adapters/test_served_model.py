"""A version in MLflow's scoring server: the same P(up) in every format, or one line with the fault."""

import csv
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.types import ColSpec, Schema

from foundry_tasks.adapters.pyfunc_model import save_pyfunc
from foundry_tasks.adapters.served_model import RequestRefusedError
from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.contract.ports import Registration
from foundry_tasks.data.panel import FeaturePanel
from foundry_tasks.models.base.logistic import LogisticRegression
from foundry_tasks.models.bundle import Bundle, _load_pyfunc
from foundry_tasks.models.calibration import BaseRateSlope
from foundry_tasks.models.design import build_design
from foundry_tasks.models.stack import Stack

pytestmark = [
    pytest.mark.slow(30),
    # of MLflow
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    # pandas' default, and the usual form of requests
    pytest.mark.filterwarnings("ignore:The default formatting of datetime:pandas.errors.Pandas4Warning"),
]

NAMES = ("ret_1d", "ret_5d", "vol_20d")
SESSIONS = np.array(["2021-06-28", "2021-06-29", "2021-06-30"], "datetime64[D]")
TICKERS = ("NA", "NAN", "NULL", "TRUE", "0700", "1E5", *(f"T{number:02}" for number in range(14)))


@pytest.fixture(scope="module")
def panel():
    values = np.random.default_rng(3).standard_normal((len(NAMES), len(SESSIONS), len(TICKERS))).astype(np.float32)
    return FeaturePanel(SESSIONS, TICKERS, NAMES, values)


@pytest.fixture(scope="module")
def bundle(panel):
    estimator = LogisticRegression()
    design = build_design(panel, estimator.transform)
    target = (design.values[:, 0] > 0).astype(float)
    (model,) = estimator.fit(estimator.prepare(design.values, design.names), target, seeds=[7])
    stack = Stack(("logistic",), None, BaseRateSlope(0.3), "by hand")
    return Bundle("us", 5, NAMES, 0.53, {"logistic": model}, stack, {}, "XNYS", len(TICKERS))


@pytest.fixture(scope="module")
def frame(panel):
    """All rows, in random order."""
    at_session, at_ticker = (index.ravel() for index in np.indices(panel.values.shape[1:]))
    keys = {"date": SESSIONS[at_session].astype("datetime64[s]"), "ticker": np.array(TICKERS)[at_ticker]}
    whole = pd.DataFrame(keys | {name: values.ravel().astype(float) for name, values in panel.items()})
    whole["p_up"] = np.nan
    return whole.sample(frac=1, random_state=4)


@pytest.fixture(scope="module")
def expected(bundle, panel, frame):
    """P(up) of the bundle, in the order of `frame`."""
    return bundle.p_up(panel).ravel()[frame.index]


@pytest.fixture(scope="module")
def saved(bundle, tmp_path_factory):
    """MLflow's folder of a version."""
    folder = tmp_path_factory.mktemp("version")
    (folder / "made.zip").write_bytes(bundle.to_bytes())
    example = {"date": "2021-06-30", "ticker": "T00"} | dict.fromkeys(NAMES, 0.5)
    wanted = Registration(
        model="foundry-us-5d", bundle=folder / "made.zip", sha256="0" * 64, horizon=5, features=NAMES, example=[example],
        evidence={}, tags={}, metrics={},
    )  # fmt: skip
    logged = SimpleNamespace(artifact_location=str(folder / "model"), model_id="m-1")
    return save_pyfunc(folder / "model", wanted, run_id="r", logged=logged)


@pytest.fixture(scope="module")
def model(saved):
    return mlflow.pyfunc.load_model(str(saved))


def ask(model, body, kind="application/json"):
    """The predictions, or the error's message, from MLflow's request handler."""
    try:
        answer = scoring_server.invocations(body, kind, model, model.metadata.get_input_schema())
    except MlflowException as error:
        return json.loads(error.serialize_as_json())["message"]
    return json.loads(answer.response)["predictions"]


def columns_of(frame):
    return frame[["date", "ticker", *NAMES]]


def as_split(frame, **options):
    return {"dataframe_split": json.loads(columns_of(frame).to_json(orient="split", **options))}


def as_records(frame, key, **options):
    return {key: json.loads(columns_of(frame).to_json(orient="records", **options))}


def as_lists(frame, **options):
    rows = json.loads(columns_of(frame).to_json(orient="records", **options))
    return {"inputs": {name: [row[name] for row in rows] for name in columns_of(frame)}}


def written(frame, **options):
    """The rows in every JSON form of the server. options: of pandas' `to_json`; by default dates are epoch ms."""
    options = {"double_precision": 15} | options
    return {
        "dataframe_split": as_split(frame, **options),
        "dataframe_records": as_records(frame, "dataframe_records", **options),
        "instances": as_records(frame, "instances", **options),
        "inputs, records": as_records(frame, "inputs", **options),
        "inputs, lists": as_lists(frame, **options),
    }


FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs, records", "inputs, lists")
DATES = {
    "epoch ms": {},
    "epoch s": {"date_unit": "s"},
    "epoch us": {"date_unit": "us"},
    "epoch ns": {"date_unit": "ns"},
    "ISO": {"date_format": "iso"},
}


def assert_served(answer, frame, expected):
    assert isinstance(answer, list), answer
    assert [row["ticker"] for row in answer] == frame["ticker"].tolist()
    assert [row["date"][:10] for row in answer] == frame["date"].dt.strftime("%Y-%m-%d").tolist()
    np.testing.assert_allclose([row["p_up"] for row in answer], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dates", DATES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_json_with_every_kind_of_date_gives_each_row_its_own_p_up(model, frame, expected, form, dates):
    body = json.dumps(written(frame, **DATES[dates])[form]).encode()
    assert_served(ask(model, body), frame, expected)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("head", ["", "\N{BYTE ORDER MARK}"])
def test_csv_is_served_and_a_ticker_na_is_a_ticker(model, frame, expected, quoting, head):
    body = (head + columns_of(frame).to_csv(index=False, quoting=quoting)).encode()
    assert_served(ask(model, body, "text/csv"), frame, expected)
    assert_served(ask(model, (head + frame.to_csv()).encode(), "text/csv; charset=utf-8"), frame, expected)


def test_csv_with_epoch_milliseconds_and_windows_line_ends_is_served(model, frame, expected):
    numbers = frame.assign(date=frame["date"].astype("datetime64[ms]").astype("int64"))
    body = columns_of(numbers).to_csv(index=False, lineterminator="\r\n").encode()
    assert_served(ask(model, body, "text/csv"), frame, expected)


def test_parquet_is_served(model, frame, expected):
    body = io.BytesIO()
    columns_of(frame).to_parquet(body)
    assert_served(ask(model, body.getvalue(), "application/vnd.apache.parquet"), frame, expected)


def test_a_python_caller_gets_p_up_under_the_index_of_its_own_frame(model, frame, expected):
    np.testing.assert_allclose(
        frame.assign(p_up=model.predict(columns_of(frame))["p_up"])["p_up"], expected, atol=1e-12
    )
    zoned = frame.assign(date=frame["date"].dt.tz_localize("America/New_York"))
    np.testing.assert_allclose(model.predict(columns_of(zoned))["p_up"], expected, atol=1e-12)


def test_a_feature_that_is_missing_in_csv_is_missing_as_in_json(model, frame):
    holes = frame.assign(ret_5d=frame["ret_5d"].where(np.arange(len(frame)) % 3 > 0), vol_20d=np.nan)
    served = [ask(model, json.dumps(written(holes)["dataframe_split"]).encode())]
    served += [
        ask(model, columns_of(holes).to_csv(index=False, na_rep=text).encode(), "text/csv")
        for text in ("", "NaN", "NA")
    ]
    p_up = [[row["p_up"] for row in answer] for answer in served]
    assert 0 < np.isnan(p_up[0]).sum() < len(frame)
    np.testing.assert_array_equal(p_up, np.broadcast_to(p_up[0], np.shape(p_up)))


# ------------------------------------------------------------------ refusals
def missing_ticker(frame):
    return frame.assign(ticker=frame["ticker"].where(np.arange(len(frame)) != 2))


def missing_date(frame):
    return frame.assign(date=frame["date"].where(np.arange(len(frame)) != 2))


def repeated(frame):
    return pd.concat([frame, frame.iloc[[2]]], ignore_index=True)


def time_of_day(frame):
    return frame.assign(date=frame["date"].where(np.arange(len(frame)) != 2, frame["date"] + pd.Timedelta("16h")))


def holiday(frame):
    return frame.assign(date=frame["date"].where(np.arange(len(frame)) != 2, pd.Timestamp("2021-07-05")))


REFUSED = {
    missing_ticker: "row 3 of 60 (the first row is 1): ticker is missing. Send every ticker as text.",
    missing_date: "row 3 of 60 (the first row is 1): date is missing. Send every date as YYYY-MM-DD",
    repeated: "rows 3, 61 of 61 (the first row is 1): 2021-06-",
    time_of_day: "row 3 of 60 (the first row is 1): date '",
    holiday: "row 3 of 60 (the first row is 1): 2021-07-05 is no session of XNYS.",
}


@pytest.mark.parametrize("change", REFUSED)
@pytest.mark.parametrize("form", FORMS)
def test_json_that_does_not_tell_rows_apart_is_refused_in_one_line(model, frame, change, form):
    line = ask(model, json.dumps(written(change(frame))[form]).encode())
    assert line.startswith(REFUSED[change])
    assert len(line) < 260
    assert "\n" not in line


@pytest.mark.parametrize("change", REFUSED)
def test_csv_that_does_not_tell_rows_apart_is_refused_in_one_line(model, frame, change):
    line = ask(model, columns_of(change(frame)).to_csv(index=False).encode(), "text/csv")
    assert line.startswith(REFUSED[change])
    assert "\n" not in line


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("", "column date is missing. Send each of date, ticker, ret_1d, ret_5d, vol_20d once."),
        ("date;ticker;ret_1d;ret_5d;vol_20d\n2021-06-30;A;1;1;1\n", "column date is missing"),
        (
            "date,date,ticker,ret_1d,ret_5d,vol_20d\n2021-06-30,2021-06-29,A,1,1,1\n",
            "column date is there more than once",
        ),
        ("date,ticker,ret_1d,ret_5d,vol_20d\n2021-06-30,A,1,1,some\n", "the CSV cannot be read: could not convert"),
        ('date,ticker,ret_1d,ret_5d,vol_20d\n2021-06-30,"A,1,1,1\n', "the CSV cannot be read: "),
        ("date,ticker,ret_1d,ret_5d,vol_20d\n2021-06-30,A,1,1,1\n2021-06-30,B,1,1,1,1\n", "the CSV cannot be read: "),
        ("date,ticker,ret_1d,ret_5d,vol_20d\n2021-06-30,A,1,1,1,\n2021-06-30,B,1,1,1,\n", "rows 1, 2 of 2 (the first"),
    ],
)
def test_csv_that_cannot_be_read_is_refused_in_one_line(model, body, fault):
    line = ask(model, body.encode(), "text/csv")
    assert line.startswith(fault)
    assert "\n" not in line


def test_a_python_caller_catches_a_refusal_as_foundrys_or_as_mlflows(model, frame):
    for kind in (DataRejectedError, MlflowException, RequestRefusedError):
        with pytest.raises(kind, match="ticker is missing"):
            model.predict(columns_of(missing_ticker(frame)))


# ------------------------------------------------------------------ beside other models, and before this version
def test_requests_of_other_models_are_still_read_by_mlflow(model):
    schema = Schema([ColSpec("string", "name"), ColSpec("double", "value")])
    read = scoring_server.parse_csv_input(io.StringIO("name,value\nNA,1\n"), schema)
    assert read["name"].isna().all()
    assert scoring_server.parse_csv_input(io.StringIO("date,ticker\n1,2\n"))["ticker"].tolist() == [2]


def test_a_version_that_was_registered_with_dates_as_datetimes_is_served(bundle, frame, expected, tmp_path):
    (tmp_path / "bundle.zip").write_bytes(bundle.to_bytes())
    inputs = [ColSpec("datetime", "date"), ColSpec("string", "ticker"), *(ColSpec("double", name) for name in NAMES)]
    model = PyFuncModel(Model(signature=ModelSignature(Schema(inputs))), _load_pyfunc(str(tmp_path / "bundle.zip")))
    for form, dates in (("dataframe_split", {}), ("instances", {}), ("inputs, lists", {"date_format": "iso"})):
        assert_served(ask(model, json.dumps(written(frame, **dates)[form]).encode()), frame, expected)
    with pytest.raises(MlflowException) as refused:
        scoring_server.invocations(
            json.dumps(written(missing_ticker(frame))["instances"]).encode(),
            "application/json",
            model,
            model.metadata.get_input_schema(),
        )
    assert "row 3 of 60 (the first row is 1): ticker is missing" in refused.value.serialize_as_json()


# ------------------------------------------------------------------ the server
def test_mlflow_models_serve_answers_over_http(saved, frame, expected):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    assert yaml.safe_load((saved / "MLmodel").read_text())["flavors"]["python_function"]["code"] == "code"
    command = [sys.executable, "-I", "-m", "mlflow", "models", "serve", "--env-manager", "local", "--host", "127.0.0.1"]
    server = subprocess.Popen(
        [*command, "--port", str(port), "--model-uri", str(saved)],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        cwd=saved,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(1200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None, "the server did not start"
            time.sleep(0.1)
        else:
            pytest.fail("the server does not answer")
        answers = {
            "JSON": post(port, json.dumps(written(frame)["dataframe_split"]), "application/json"),
            "CSV": post(port, columns_of(frame).to_csv(index=False), "text/csv"),
            "refused": post(port, columns_of(missing_ticker(frame)).to_csv(index=False), "text/csv"),
        }
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)
    for kind in ("JSON", "CSV"):
        assert answers[kind][0] == 200, answers[kind]
        assert_served(answers[kind][1]["predictions"], frame, expected)
    status, refusal = answers["refused"]
    assert status == 400
    assert refusal["message"].startswith(REFUSED[missing_ticker])
    assert set(refusal) == {"error_code", "message"}


def post(port, body, kind):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("POST", "/invocations", body.encode(), {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
