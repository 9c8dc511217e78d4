"""The base models, a module each, named as a conf names it; `deep` holds those that TensorFlow trains.

A module holds BASE_MODEL, a `models.estimator.BaseModel`. `models.base_models` finds it.
"""
