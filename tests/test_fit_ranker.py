"""The mathematics of the fit: gradients against finite differences, measures worked by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from qa.refuse import CONFIDENCE_FEATURES
from train.fit_ranker import (
    Floats,
    Rows,
    calibrated,
    logistic_loss,
    probabilities,
    softmax_loss,
)

GENERATOR = np.random.default_rng(0)


def numeric_gradient(
    loss: Callable[..., tuple[float, Floats]], weights: Floats, *data: object
) -> Floats:
    step = 1e-6
    gradient = np.zeros_like(weights)
    for i in range(len(weights)):
        shift = np.zeros_like(weights)
        shift[i] = step
        above, below = loss(weights + shift, *data)[0], loss(weights - shift, *data)[0]
        gradient[i] = (above - below) / (2 * step)
    return gradient


def test_the_gradient_of_the_ranking_loss_is_its_derivative() -> None:
    groups = [
        (GENERATOR.normal(size=(5, 3)), np.array([True, False, False, True, False])),
        (GENERATOR.normal(size=(2, 3)), np.array([False, True])),
    ]
    weights = GENERATOR.normal(size=3)
    assert softmax_loss(weights, groups)[1] == pytest.approx(
        numeric_gradient(softmax_loss, weights, groups), abs=1e-5
    )


def test_the_gradient_of_the_logistic_loss_is_its_derivative() -> None:
    rows, labels = GENERATOR.normal(size=(8, 3)), np.array([0, 1, 0, 1, 1, 0, 0, 1], dtype=float)
    weights = GENERATOR.normal(size=3)
    assert logistic_loss(weights, rows, labels)[1] == pytest.approx(
        numeric_gradient(logistic_loss, weights, rows, labels), abs=1e-5
    )


def test_calibration_keeps_the_order_and_mends_a_modest_model() -> None:
    generator = np.random.default_rng(3)
    features = np.zeros((4000, len(CONFIDENCE_FEATURES)))
    features[:, 0], features[:, 1] = 1.0, generator.normal(size=4000)  # bias, cosine
    right = (generator.random(4000) < 1 / (1 + np.exp(-(1 + 3 * features[:, 1])))).astype(float)
    nothing = np.zeros(4000, dtype=bool)
    rows = Rows(features, right, np.array(["asked"] * 4000), nothing, nothing, nothing)
    modest = np.zeros(len(CONFIDENCE_FEATURES))
    modest[:2] = -2.0, 1.0
    mended = calibrated(modest, rows)
    before, after = probabilities(rows, modest), probabilities(rows, mended)
    assert (np.argsort(before) == np.argsort(after)).all()
    assert mended[:2] == pytest.approx([1.0, 3.0], abs=0.3)
    assert abs(after.mean() - right.mean()) < 0.01 < abs(before.mean() - right.mean())
