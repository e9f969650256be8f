"""Data: a `Dataset` from built-in sets, files, arrays and frames; its split; and the arrays to train on.

The way of data is load_data -> split_rows -> prepare. Nothing heavy is imported before it is used.
"""

from jaxbn.data.dataset import Dataset, fingerprint, load_data
from jaxbn.data.folds import fold_rows
from jaxbn.data.prepare import Prepared, Rows, prepare
from jaxbn.data.preprocess import Preprocessor
from jaxbn.data.split import Split, split_rows
from jaxbn.data.table import Column, Table

__all__ = [
    "Column",
    "Dataset",
    "Prepared",
    "Preprocessor",
    "Rows",
    "Split",
    "Table",
    "fingerprint",
    "fold_rows",
    "load_data",
    "prepare",
    "split_rows",
]
