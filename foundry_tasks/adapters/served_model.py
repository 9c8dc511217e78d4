"""A registered version for `mlflow.pyfunc` and MLflow's scoring server, with errors in one line."""

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
"""Texts in a CSV file that mean a missing feature value."""
_mlflow_parse_csv = scoring_server.parse_csv_input


class RequestRefusedError(DataRejectedError, MlflowException):  # type: ignore[misc]  # MLflow brings no types
    """Refused request: status 400 and one line. MLflow's own error would also contain the rows."""

    def __init__(self, line: str) -> None:
        MlflowException.__init__(self, line, error_code=BAD_REQUEST)

    def serialize_as_json(self) -> str:
        """Body of the scoring server's answer."""
        return json.dumps({"error_code": self.error_code, "message": str(self)})


class ServedModel:
    """A `PyfuncBundle` whose errors the scoring server returns to the client."""

    def __init__(self, model: PyfuncBundle) -> None:
        self._model = model

    def predict(self, model_input: "pd.DataFrame", params: Mapping[str, Any] | None = None) -> "pd.DataFrame":
        """As `PyfuncBundle.predict`. Raises RequestRefusedError."""
        try:
            return self._model.predict(model_input, params)
        except DataRejectedError as error:
            raise RequestRefusedError(str(error)) from error


def parse_csv(csv_input: Any, schema: Any = None) -> "pd.DataFrame":
    """Parse a request in CSV. date and ticker stay text, so that NA is a ticker.

    MLflow's parser cannot read a signature with dates and reads the ticker NA as missing. It still parses requests to other
    models. Raises RequestRefusedError.
    """
    import pandas as pd  # noqa: PLC0415 - only CSV needs it here

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
    except ValueError as error:  # includes pandas' errors
        raise RequestRefusedError(
            f"the CSV cannot be read: {str(error).strip()}. Separate values by commas and write numbers with a decimal point."
        ) from error


def _load_pyfunc(path: str) -> ServedModel:
    """Called by `mlflow.pyfunc`; path: the bundle. Also sets `parse_csv` as the parser of this process's scoring server."""
    scoring_server.parse_csv_input = parse_csv
    return ServedModel(PyfuncBundle(Bundle.from_file(Path(path))))
