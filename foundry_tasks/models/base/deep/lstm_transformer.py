"""LSTM and Transformer on sequences of sessions; its networks lie in `models.deep`."""

from foundry_tasks.models.deep.deep_classifier import DeepClassifier, DeepModel
from foundry_tasks.models.estimator import BaseModel

BASE_MODEL = BaseModel(DeepClassifier("lstm_transformer"), DeepModel.from_dict)
