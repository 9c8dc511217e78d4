"""How a model is proved: walk-forward folds, efficiency, intervals, the leakage audit and the gates."""
