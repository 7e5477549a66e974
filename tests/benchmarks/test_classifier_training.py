"""The classifier's training benchmark: its plain sides compute our network's function, augment images, and learn."""

from __future__ import annotations

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.classifier_training import BATCH, CLASSES, convolve, count_flops, make_images
from benchmarks.parts.plain_classifier import (
    SHIFT,
    AugmentedImages,
    build_plain_network,
    gather_batches,
    load_batches,
    make_plain,
    train_plainly,
)
from ops.classifiers.networks.layers import Conv

IMAGES = torch.randint(0, 256, (12, 3, 9, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(12) % 2


def test_a_plain_convolution_computes_what_ours_does() -> None:
    for stride, size in ((1, 3), (2, 3), (2, 1)):
        conv, images = Conv(3, 5, stride, size), torch.randn(2, 3, 9, 8)
        assert torch.allclose(make_plain(conv)(images), conv(images), atol=1e-5)
    assert not any(isinstance(module, Conv) for module in build_plain_network((3, 9, 8), 2).modules())


def test_the_dataset_mirrors_and_moves_normalised_images() -> None:
    torch.manual_seed(0)
    data, shown = AugmentedImages(IMAGES, LABELS), set()
    image = (IMAGES[3].numpy() / 127.5 - 1).astype(np.float32)
    for _ in range(200):
        found, label = data[3]
        assert label == LABELS[3]
        for mirrored in (False, True):
            source = image[..., ::-1] if mirrored else image
            padded = np.pad(source, ((0, 0), (SHIFT,) * 2, (SHIFT,) * 2), mode="edge")
            for top in range(2 * SHIFT + 1):
                for left in range(2 * SHIFT + 1):
                    if np.allclose(padded[:, top : top + 9, left : left + 8], found, atol=1e-6):
                        shown.add((mirrored, top, left))
    assert len(shown) == 2 * (2 * SHIFT + 1) ** 2


def test_both_plain_sides_learn() -> None:
    torch.manual_seed(0)
    for batches in (load_batches(IMAGES, LABELS, 5, 0), gather_batches(IMAGES, LABELS, 5, lambda batch: batch)):
        network = build_plain_network((3, 9, 8), 2)
        before = [parameter.detach().clone() for parameter in network.parameters()]
        train_plainly(network, batches)(3)  # one more than an epoch has
        assert all(not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))


def test_operations_are_those_of_the_convolutions() -> None:
    places = 14 * 14
    forward = 9 * places * 32 + 2 * 9 * places * 32 * 32 + 9 * 49 * 32 * 64 + 2 * 9 * 49 * 64 * 64 + 64 * 10
    stem = 9 * places * 32  # no gradient of the images
    assert count_flops((1, 28, 28)) == 2 * (3 * forward - stem)


def test_convolutions_alone_are_all_of_a_step() -> None:
    go = convolve(make_images((1, 28, 28)), "fp32", steps=1)
    with FlopCounterMode(display=False) as counter:
        go()
    head = 3 * 2 * 64 * CLASSES
    assert counter.get_total_flops() == BATCH * (count_flops((1, 28, 28)) - head)
