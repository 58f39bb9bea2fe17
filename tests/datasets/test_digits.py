from __future__ import annotations

from pathlib import Path

import numpy as np

from nnpipe.datasets.sources.digits import Digits
from nnpipe.datasets.sources.source import Description


def test_the_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    known, opened = load_digits(), Digits().open(Path(), 0)
    x, y = zip(*opened.blocks("train"), strict=True)
    np.testing.assert_array_equal(np.concatenate(x)[:, 0], known.images)
    np.testing.assert_array_equal(np.concatenate(y), known.target)
    assert opened.splits == {"train": 1797}
    assert (opened.dtype, opened.value_range) == (np.uint8, (0, 16))
    assert Digits().describe(Path()) == Description(opened.shape, len(opened.class_names))
