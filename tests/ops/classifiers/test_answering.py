"""A network that diverged answers that all classes are alike, and is judged like any other."""

from __future__ import annotations

import numpy as np
import torch

from ops.classifiers.answering import settle_undefined
from ops.metrics.invariance import measure_invariance
from ops.verdict.calibration import find_calibration_error


def test_rows_that_are_not_finite_become_equal_probabilities_and_others_stay() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [torch.nan, 0.0, 1.0], [torch.inf, 0.0, 1.0]])
    settled = settle_undefined(logits)
    assert torch.equal(settled[0], logits[0])
    assert torch.allclose(settled.softmax(1)[1:], torch.full((2, 3), 1 / 3))


def test_a_diverged_network_has_a_calibration_and_no_invariance_to_complain_about() -> None:
    probabilities = settle_undefined(torch.full((6, 3), torch.nan)).softmax(1).numpy()
    labels = np.arange(6) % 3
    error = find_calibration_error(probabilities.max(1)[None], (probabilities.argmax(1) == labels)[None])
    assert error < 1e-6  # a third is right, with a confidence of a third
    same = np.log(probabilities)
    assert measure_invariance(same, same[:, None], labels).ekld.values.max() == 0
