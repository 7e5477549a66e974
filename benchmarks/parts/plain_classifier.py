"""The usual ways to train a small classifier: the demo's network in fp32, fed by a DataLoader or from memory.

The network has nn.Conv2d in the default memory order where ours keeps matrices; it computes the same function. A
DataLoader's Dataset normalises, mirrors and crops one image at a time, as torchvision's transforms do. The optimizer is
AdamW. Decoding image files is left out, in favour of these sides. The module does not know Growset's training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.networks.layers import Conv
from ops.recipe.arms import SmallResNet

SHIFT = 2  # pixels by which images move at most

Batches = Iterator[tuple[Tensor, Tensor]]


def build_plain_network(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The default small network with plain convolutions and random weights."""
    network = Classifier(SmallResNet(), shape, classes)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Conv):
                setattr(module, name, make_plain(child))
    return network


def make_plain(conv: Conv) -> nn.Conv2d:
    """The same convolution as a module of torch's, with weights in the default order."""
    plain = nn.Conv2d(conv.inputs, len(conv.weight), conv.size, conv.stride, padding=conv.size // 2, bias=False)
    kernel = conv.weight.detach().view(-1, conv.size, conv.size, conv.inputs)
    plain.weight.data.copy_(kernel.permute(0, 3, 1, 2))
    return plain


class AugmentedImages(Dataset[tuple[Tensor, Tensor]]):
    """uint8 images [n, C, H, W] and labels [n]; each image normalised, mirrored by chance and moved on access."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = (self.images[index].float() / 255 - 0.5) / 0.5
        if torch.rand(()) < 0.5:
            image = image.flip(-1)
        _, height, width = image.shape
        image = F.pad(image, (SHIFT,) * 4, mode="replicate")
        top, left = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
        return image[:, top : top + height, left : left + width], self.labels[index]


def load_batches(images: Tensor, labels: Tensor, batch_size: int, loaders: int) -> Batches:
    """Endless batches of a DataLoader with so many worker processes."""
    loader = DataLoader(
        AugmentedImages(images, labels),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=loaders,
        persistent_workers=loaders > 0,
    )
    while True:
        yield from loader


def gather_batches(images: Tensor, labels: Tensor, batch_size: int, augment: Callable[[Tensor], Tensor]) -> Batches:
    """Endless batches of normalised images that stay in memory, a whole batch augmented at once."""
    resident = (images.float() / 255 - 0.5) / 0.5
    while True:
        for index in torch.randperm(len(images)).split(batch_size):
            if len(index) == batch_size:
                yield augment(resident[index]), labels[index]


def train_plainly(network: nn.Module, batches: Batches) -> Callable[[int], None]:
    """A function that trains for a further number of steps."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)

    def go_on(steps: int) -> None:
        for _ in range(steps):
            images, labels = next(batches)
            loss = F.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return go_on
