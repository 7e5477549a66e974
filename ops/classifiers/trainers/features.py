"""The features of images, and a last layer that is fitted to features alone.

What a network has learnt to see and how it decides can be trained apart: with few images of some classes the features
are good and the last layer is not (Kang et al. 2020, "Decoupling representation and classifier").
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.networks.classifier import Classifier

RATE, DECAY, BATCH = 1e-3, 1e-5, 1024  # Adam's, as in LDMLR's code


def read_features(network: Classifier, data: TrainingSet, precision: str, device: str) -> Tensor:
    """Features float32 [n, d] of the images as they are, on the CPU."""
    return predict(network.features, data.images, precision=precision, device=device)


def refit_head(
    network: Classifier, features: Tensor, labels: Tensor, weights: np.ndarray, *, epochs: int, seed: int
) -> None:
    """Train the last layer on, in place, by cross-entropy; row i is drawn in proportion to weights[i].

    features : float32 [n, d]. labels : int64 [n]. weights : float64 [n]. An epoch draws n rows with replacement.
    """
    device = next(network.parameters()).device
    drawn = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.head.parameters(), lr=RATE, weight_decay=DECAY)
    shares = torch.from_numpy(weights / weights.sum())
    for _ in range(epochs):
        order = torch.multinomial(shares, len(labels), replacement=True, generator=drawn)
        for rows in order.split(BATCH):
            loss = F.cross_entropy(network.head(features[rows].to(device)), labels[rows].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
