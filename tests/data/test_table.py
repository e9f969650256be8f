"""Tables."""

import numpy as np

from jaxbn.data import Column, Table


def test_take_by_number_and_by_mask():
    words = np.array([["a"], [None], ["c"]], dtype=object)
    table = Table((Column("n", "numeric"), Column("c", "categorical")), np.array([[1.0], [np.nan], [3.0]]), words)
    assert table.num_rows == 3
    taken = table.take(np.array([2, 0]))
    assert taken.columns == table.columns
    assert taken.numeric.tolist() == [[3.0], [1.0]]
    assert taken.categorical.tolist() == [["c"], ["a"]]
    assert table.take(np.array([False, True, False])).categorical.tolist() == [[None]]
