"""Networks and their search as scikit-learn has its estimators."""

from jaxbn.estimators.network import BNMLPClassifier, BNMLPRegressor
from jaxbn.estimators.search import SweepSearchCV

__all__ = ["BNMLPClassifier", "BNMLPRegressor", "SweepSearchCV"]
