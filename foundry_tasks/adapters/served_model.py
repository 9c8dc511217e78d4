"""A registered version as `mlflow.pyfunc` loads and serves it: requests in JSON, CSV and Parquet, refusals in one line."""

import csv
import json
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import scoring_server

from foundry_tasks.adapters.pyfunc_model import input_schema
from foundry_tasks.contract.errors import DataRejectedError
from foundry_tasks.models.bundle import Bundle, PyfuncBundle
from foundry_tasks.models.row_keys import refuse_columns

if TYPE_CHECKING:
    import pandas as pd

_KEYS = ("date", "ticker")
_MISSING = ("", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")
"""What a feature may be in a CSV file where it is not known."""
_mlflow_parse_csv = scoring_server.parse_csv_input


class RequestRefusedError(DataRejectedError, MlflowException):  # type: ignore[misc]  # MLflow brings no types
    """The answer to a request that is refused: status 400, and the line alone where MLflow would put the rows before it."""

    def __init__(self, line: str) -> None:
        MlflowException.__init__(self, line, error_code=BAD_REQUEST)

    def serialize_as_json(self) -> str:
        """What MLflow's scoring server answers."""
        return json.dumps({"error_code": self.error_code, "message": str(self)})


class ServedModel:
    """A `PyfuncBundle` whose refusals MLflow's scoring server hands on."""

    def __init__(self, model: PyfuncBundle) -> None:
        self._model = model

    def predict(self, model_input: "pd.DataFrame", params: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """As `PyfuncBundle.predict`. Raises RequestRefusedError."""
        try:
            return self._model.predict(model_input, params)
        except DataRejectedError as error:
            raise RequestRefusedError(str(error)) from error


def parse_csv(csv_input: Any, schema: Any = None) -> "pd.DataFrame":
    """A request in CSV. date and ticker stay text, so that NA is a ticker.

    MLflow's own parser cannot read a signature with dates, and takes a ticker NA for a missing value; it still reads the
    requests of other models. Raises RequestRefusedError.
    """
    import pandas as pd  # noqa: PLC0415 - as elsewhere in this package

    features = tuple(schema.input_names()[len(_KEYS) :]) if schema is not None and schema.has_input_names() else ()
    if not features or schema != input_schema(features):
        frame: pd.DataFrame = _mlflow_parse_csv(csv_input, schema)
        return frame
    text = csv_input.read().removeprefix("\N{BYTE ORDER MARK}")
    try:
        refuse_columns(next(csv.reader(StringIO(text)), []), features)
        return pd.read_csv(
            StringIO(text),
            dtype=dict.fromkeys(_KEYS, str) | dict.fromkeys(features, float),
            keep_default_na=False,
            na_values=dict.fromkeys(features, _MISSING),
        )
    except (DataRejectedError, csv.Error) as error:
        raise RequestRefusedError(str(error)) from error
    except ValueError as error:  # pandas' own errors are among them
        raise RequestRefusedError(
            f"the CSV cannot be read: {str(error).strip()}. Separate values by commas and write numbers with a decimal point."
        ) from error


def _load_pyfunc(path: str) -> ServedModel:
    """What `mlflow.pyfunc` calls; path: the bundle. From here on this process's scoring server reads CSV by `parse_csv`."""
    scoring_server.parse_csv_input = parse_csv
    return ServedModel(PyfuncBundle(Bundle.from_file(Path(path))))
