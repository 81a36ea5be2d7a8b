"""The average of several models against probabilities added up by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from mien.errors import DataError
from mien.evaluate.ensemble import average


def test_probabilities_are_averaged_not_logits(make_outputs):
    members = [make_outputs([0, 1, 2, 1], [0, 0, 2, 1], seed=seed) for seed in (1, 2, 3)]
    members[1].logits[:] *= 7  # a model that is surer counts for no more than its probabilities
    mean = np.mean([softmax(one.logits.astype(float), axis=1) for one in members], axis=0)
    found = average(members)
    np.testing.assert_allclose(softmax(found.logits, axis=1), mean, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found.logits), mean, rtol=1e-5)


def test_rows_are_matched_by_id_and_stand_in_the_firsts_order(make_outputs):
    first = make_outputs([0, 1, 2, 1, 0], [0, 1, 2, 1, 0], seed=1).take(np.array([3, 0, 4, 1, 2]))
    other = make_outputs([0, 1, 2, 1, 0], [2, 2, 2, 2, 2], seed=2)
    found = average([first, other])
    assert found.ids.tolist() == first.ids.tolist()
    expected = (softmax(first.logits, axis=1) + softmax(other.logits, axis=1)[[3, 0, 4, 1, 2]]) / 2
    np.testing.assert_allclose(np.exp(found.logits), expected, rtol=1e-5)


def test_one_model_averaged_is_itself_and_any_members_copy_counts(make_outputs):
    one = make_outputs([0, 1, 2], [0, 1, 1], copied=[True, False, False])
    other = make_outputs([0, 1, 2], [0, 1, 1], copied=[False, False, True])
    alone = average([one])
    np.testing.assert_allclose(softmax(alone.logits, axis=1), softmax(one.logits, axis=1),
                               rtol=1e-5)  # fmt: skip
    assert average([one, other]).copied.tolist() == [True, False, True]


def test_members_of_other_classes_images_or_none_are_refused(make_outputs):
    one = make_outputs([0, 1, 2], [0, 1, 1])
    with pytest.raises(DataError, match="different classes"):
        average([one, replace(one, classes=("a", "b", "c"))])
    with pytest.raises(DataError, match="lack"):
        average([one, one.take(np.array([0, 1]))])
    with pytest.raises(ValueError, match="no members"):
        average([])
