"""xLSTM-TS on sequences of sessions; its networks lie in `models.deep`."""

from foundry_tasks.models.deep.deep_classifier import DeepClassifier, DeepModel
from foundry_tasks.models.estimator import BaseModel

BASE_MODEL = BaseModel(DeepClassifier("xlstm_ts"), DeepModel.from_dict)
