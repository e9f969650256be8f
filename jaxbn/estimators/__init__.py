"""Networks and their search as scikit-learn has its estimators.

They take what scikit-learn's own take, go into its pipelines and searches, and are trained by the engine of a sweep.
"""

from jaxbn.estimators.classifier import BNMLPClassifier
from jaxbn.estimators.regressor import BNMLPRegressor
from jaxbn.estimators.search import SweepSearchCV

__all__ = ["BNMLPClassifier", "BNMLPRegressor", "SweepSearchCV"]
