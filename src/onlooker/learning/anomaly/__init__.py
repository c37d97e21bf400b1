"""Anomaly learning: from normal footage alone to a bundle that tells what is unusual, where and why.

Two methods: regions compared with the most similar ones of normal footage by speed, direction and size (`neighbours`),
and the error of a network that foretells the next picture (`prediction`).
"""

from onlooker.learning.anomaly.evaluating import evaluate_anomaly
from onlooker.learning.anomaly.fitting import Fitted, fit_anomaly
from onlooker.learning.anomaly.recipe import AnomalyRecipe, load_anomaly_recipe
from onlooker.learning.anomaly.training import train

__all__ = ["AnomalyRecipe", "Fitted", "evaluate_anomaly", "fit_anomaly", "load_anomaly_recipe", "train"]
