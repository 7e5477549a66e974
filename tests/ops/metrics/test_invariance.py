"""eKLD against closed forms, a loop, and the mistakes that the released code makes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ops.metrics.invariance import Invariance, measure_invariance

LABELS = np.array([0, 0, 0, 2, 2, 5])


def draw_answers(seed: int = 0, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of six images, and of four draws of each that lie near them."""
    rng = np.random.default_rng(seed)
    log_p = rng.normal(0, 3, (6, 4))
    return log_p, log_p[:, None] + rng.normal(0, spread, (6, 4, 4))


def test_a_classifier_that_answers_always_the_same_is_invariant() -> None:
    answer = np.array([0.3, -1.0, 2.0])
    found = measure_invariance(np.tile(answer, (6, 1)), np.tile(answer, (6, 5, 1)), LABELS)
    assert found.classes.tolist() == [0, 2, 5]
    assert found.ekld.values.tolist() == [0, 0, 0] and found.ekld.errors[:2].tolist() == [0, 0]
    assert found.agreement.values.tolist() == [1, 1, 1]


def test_two_classes_by_hand() -> None:
    """P(.|x) = (a, 1 - a), and P(.|Tx) = (b, 1 - b) for half of the draws and P(.|x) for the others."""
    a, b = 0.9, 0.2
    p, q = np.log([a, 1 - a]), np.log([b, 1 - b])
    found = measure_invariance(p[None], np.stack([p, q])[None], np.array([1]))
    assert found.ekld.mean == pytest.approx((a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))) / 2)
    assert found.agreement.mean == 0.5
    assert math.isnan(found.ekld.error), "one image has no spread"


def test_the_untransformed_image_comes_first() -> None:
    p, q = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    forward, backward = (
        measure_invariance(one, other[:, None], np.array([0])).ekld.mean for one, other in ((p, q), (q, p))
    )
    assert forward == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))
    assert backward == pytest.approx(0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5))
    assert abs(forward - backward) > 0.1


def test_means_and_errors_are_those_of_a_loop_over_images_and_draws() -> None:
    log_p, log_q = draw_answers()
    found = measure_invariance(log_p.astype(np.float32), log_q.astype(np.float32), LABELS)

    def soften(logits: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(logits) / np.exp(logits).sum())

    def diverge(p: np.ndarray, q: np.ndarray) -> float:
        return sum(float(one * (math.log(one) - math.log(other))) for one, other in zip(p, q, strict=True))

    per_image = [np.mean([diverge(soften(p), soften(q)) for q in draws]) for p, draws in zip(log_p, log_q, strict=True)]
    agrees = [np.mean([p.argmax() == q.argmax() for q in draws]) for p, draws in zip(log_p, log_q, strict=True)]
    for means, values in ((found.ekld, per_image), (found.agreement, agrees)):
        own = [np.array(values)[label == LABELS] for label in (0, 2, 5)]
        assert means.values == pytest.approx([each.mean() for each in own], rel=1e-5)
        assert means.errors[:2] == pytest.approx(
            [each.std(ddof=1) / math.sqrt(len(each)) for each in own[:2]], rel=1e-5
        )
        assert means.mean == pytest.approx(np.mean(means.values))
    several = measure_invariance(log_p[:5], log_q[:5], LABELS[:5]).ekld
    assert several.error == pytest.approx(math.hypot(*several.errors) / 2)


def test_answers_to_another_image_of_the_class_raise_it() -> None:
    """The released code transforms a permutation of the images and compares it with the images in order."""
    log_p, log_q = draw_answers(spread=0.1)
    order = np.array([1, 2, 0, 4, 3, 5])
    right, wrong = (measure_invariance(log_p, each, LABELS).ekld.values for each in (log_q, log_q[order]))
    assert (wrong[:2] > 10 * right[:2]).all()
    both = measure_invariance(log_p[order], log_q[order], LABELS).ekld.values
    assert both == pytest.approx(right), "the order of the images says nothing"


def compare(one: Invariance, other: Invariance) -> None:
    assert one.ekld.values == pytest.approx(other.ekld.values, abs=1e-9)
    assert one.agreement.values.tolist() == other.agreement.values.tolist()


@given(arrays(np.float64, (6, 3, 4), elements=st.floats(-30, 30)), st.integers(-50, 50))
@settings(max_examples=30, deadline=None)
def test_it_is_never_below_0_and_logits_may_be_shifted_or_normalised(answers: np.ndarray, shift: int) -> None:
    log_p, log_q = answers[:, 0], answers[:, 1:]
    found = measure_invariance(log_p, log_q, LABELS)
    assert (found.ekld.values >= -1e-12).all()
    assert ((found.agreement.values >= 0) & (found.agreement.values <= 1)).all()
    normalised = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    assert measure_invariance(normalised, log_q, LABELS).ekld.values == pytest.approx(found.ekld.values, abs=1e-9)
    compare(measure_invariance(log_p, log_q[:, ::-1], LABELS), found)
    assert measure_invariance(log_p + shift, log_q, LABELS).ekld.values == pytest.approx(found.ekld.values, abs=1e-9)


LOG_P, LOG_Q = draw_answers()


@pytest.mark.parametrize(
    ("log_p", "log_q", "labels", "sentence"),
    [
        (LOG_P, LOG_Q[:5], LABELS, r"shapes \(6, 4\) and \(5, 4, 4\)"),
        (LOG_P, LOG_Q[..., :3], LABELS, r"allowed: \[n, K\] and \[n, d, K\]"),
        (LOG_P, LOG_Q[:, 0], LABELS, r"allowed: \[n, K\] and \[n, d, K\]"),
        (LOG_P, LOG_Q[:, :0], LABELS, r"shapes \(6, 4\) and \(6, 0, 4\)"),
        (LOG_P[:0], LOG_Q[:0], LABELS[:0], r"shapes \(0, 4\)"),
        (LOG_P, LOG_Q, LABELS[:5], r"6 images and labels of the shape \(5,\)"),
        (np.where(LOG_P > 3, np.inf, LOG_P), LOG_Q, LABELS, "not finite"),
        (LOG_P, np.where(LOG_Q > 3, np.nan, LOG_Q), LABELS, "not finite"),
    ],
)
def test_answers_that_cannot_be_compared_are_refused(log_p: Any, log_q: Any, labels: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        measure_invariance(log_p, log_q, labels)
