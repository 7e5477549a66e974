"""What each method puts behind the features, and its loss of two views: SimCLR, MoCo v2+, BYOL, Barlow Twins.

The projectors have the forms of AdaInf's runs on ResNet-18, whose features are 512 numbers, in proportion to the
features of the arm's network. They are dropped after the training. Parameters of averaged networks are none of a
method's own, so no optimizer moves them.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ops.classifiers.contrastive.following import Follower, choose_decay
from ops.classifiers.networks.classifier import Classifier, standardise
from ops.recipe.ingredients.contrastive import BarlowTwinsTrainer, ByolTrainer, MocoTrainer, SimclrTrainer
from ops.training.contrast import find_info_nce, find_nt_xent, find_redundancy, find_regression

LAST_MOCO, LAST_BYOL = 0.999, 1.0  # decays of averaged networks at the end


class Seeing(nn.Module):
    """The body of a classifier as it is asked: images float [n, C, H, W] to features [n, d]."""

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.body, self.how, self.feature_size = network.body, network.standardise, network.feature_size

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.body(standardise(x, self.how))
        return features


class Method(nn.Module):
    """A network in training; `features` float [2n, d] are those of the last step's views, without gradients."""

    features: Tensor
    projector: nn.Module

    def __init__(self, network: Classifier, settings: Any, steps: int) -> None:
        super().__init__()
        self.settings, self.steps, self.see = settings, steps, Seeing(network)
        self.device = next(network.parameters()).device

    def compare(self, views: Tensor, step: int) -> tuple[Tensor, ...]:
        """What is compared of views float [2n, C, H, W], each float32 [2n, e]; rows i and n + i are of one image."""
        return (self.project(views),)

    @abstractmethod
    def find_loss(self, compared: tuple[Tensor, ...], ids: Tensor) -> Tensor:
        """A scalar from what is compared; ids int64 [n] tell copies of an image. To be called once for each step."""

    def project(self, views: Tensor) -> Tensor:
        """The projections of views; their features are kept."""
        features = self.see(views)
        self.features = features.detach().float()
        projected: Tensor = self.projector(features)
        return projected.float()


class Simclr(Method):
    """Chen et al. 2020: NT-Xent over the batch."""

    def __init__(self, network: Classifier, settings: SimclrTrainer, steps: int) -> None:
        super().__init__(network, settings, steps)
        d = self.see.feature_size
        self.projector = stack((d, 4 * d, d // 2), normed=False).to(self.device)

    def find_loss(self, compared: tuple[Tensor, ...], ids: Tensor) -> Tensor:
        return find_nt_xent(compared[0], self.settings.temperature, ids)


class Moco(Method):
    """He et al. 2020 and Chen et al. 2020 (v2): InfoNCE with a queue of keys, here for both views and two queues.

    A queue begins empty, and holds whole batches: real images come first in a batch, so that a part of one would hold
    too few generated ones.
    """

    def __init__(self, network: Classifier, settings: MocoTrainer, steps: int) -> None:
        super().__init__(network, settings, steps)
        d = self.see.feature_size
        self.projector = stack((d, 4 * d, d // 2), normed=False).to(self.device)
        self.follower = Follower(nn.Sequential(self.see, self.projector), settings.decay, LAST_MOCO, steps)
        self.queues = [torch.empty(0, d // 2, device=self.device)] * 2
        self.queue_ids = torch.empty(0, dtype=torch.int64, device=self.device)

    def compare(self, views: Tensor, step: int) -> tuple[Tensor, ...]:
        self.follower.follow(step)
        return self.project(views), self.follower(views)

    def find_loss(self, compared: tuple[Tensor, ...], ids: Tensor) -> Tensor:
        queries, keys = (part.chunk(2) for part in compared)
        losses = [
            find_info_nce(query, key, queue, self.settings.temperature, ids, self.queue_ids)
            for query, key, queue in zip(queries, reversed(keys), reversed(self.queues), strict=True)
        ]
        most = max(1, self.settings.queue // len(ids)) * len(ids)
        self.queues = [torch.cat([key, queue])[:most] for key, queue in zip(keys, self.queues, strict=True)]
        self.queue_ids = torch.cat([ids, self.queue_ids])[:most]
        return torch.stack(losses).mean()


class Byol(Method):
    """Grill et al. 2020: a prediction of what an averaged network sees in the other view."""

    def __init__(self, network: Classifier, settings: ByolTrainer, steps: int) -> None:
        super().__init__(network, settings, steps)
        d = self.see.feature_size
        self.projector = stack((d, 8 * d, d // 2), normed=True).to(self.device)
        self.predictor = stack((d // 2, 8 * d, d // 2), normed=True).to(self.device)
        first = choose_decay(steps) if settings.decay is None else settings.decay
        self.follower = Follower(nn.Sequential(self.see, self.projector), first, LAST_BYOL, steps)

    def compare(self, views: Tensor, step: int) -> tuple[Tensor, ...]:
        self.follower.follow(step)
        return self.predictor(self.project(views)).float(), self.follower(views)

    def find_loss(self, compared: tuple[Tensor, ...], ids: Tensor) -> Tensor:
        predicted, wanted = (part.chunk(2) for part in compared)
        return find_regression(predicted[0], wanted[1]) + find_regression(predicted[1], wanted[0])


class BarlowTwins(Method):
    """Zbontar et al. 2021: numbers that agree between views and not with each other."""

    def __init__(self, network: Classifier, settings: BarlowTwinsTrainer, steps: int) -> None:
        super().__init__(network, settings, steps)
        d = self.see.feature_size
        self.projector = stack((d, 4 * d, 4 * d, 4 * d), normed=True).to(self.device)

    def find_loss(self, compared: tuple[Tensor, ...], ids: Tensor) -> Tensor:
        one, other = compared[0].chunk(2)
        return find_redundancy(one, other, off_diagonal=self.settings.redundancy)


def stack(sizes: tuple[int, ...], *, normed: bool) -> nn.Sequential:
    """Linear layers with ReLU between them, and batch normalisation before each if they are `normed`."""
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(inputs, outputs))
        if place < len(sizes) - 2:
            layers += [nn.BatchNorm1d(outputs)] * normed + [nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


METHODS: dict[str, type[Method]] = {"simclr": Simclr, "moco": Moco, "byol": Byol, "barlow_twins": BarlowTwins}
