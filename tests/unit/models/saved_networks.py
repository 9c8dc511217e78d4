"""Deep models, built, saved and scored by Keras on TensorFlow, and a program that scores them.

saved_networks.json holds models as `to_bytes` wrote them in version 0.1.0, and their networks' log-odds of a panel.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from foundry_tasks.models.base_models import load_model
from foundry_tasks.models.deep.sequences import Sequences
from foundry_tasks.models.estimator import FittedModel

FILE = Path(__file__).with_name("saved_networks.json")
SAVED = json.loads(FILE.read_text())
ROWS = Sequences(
    np.array(SAVED["panel"], dtype=np.float32),
    np.array(SAVED["session"], dtype=np.int32),
    np.array(SAVED["ticker"], dtype=np.int32),
)
SCORE = """
import json, sys
import numpy as np
from foundry_tasks.models.base_models import load_model
from foundry_tasks.models.deep.sequences import Sequences
saved = json.load(open(sys.argv[1]))
rows = Sequences(np.array(saved["panel"], np.float32), *(np.array(saved[key], np.int32) for key in ("session", "ticker")))
scores = [load_model(json.dumps(one["model"]).encode()).score(rows).tolist() for one in saved["networks"]]
print(json.dumps([scores, sorted(sys.modules)]))
"""
"""Prints the scores and the loaded modules. usage: python -c SCORE FILE"""


def model_of(saved: dict[str, Any]) -> FittedModel:
    return load_model(json.dumps(saved["model"]).encode())
