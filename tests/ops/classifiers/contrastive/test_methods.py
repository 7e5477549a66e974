"""Each method: its published shape in proportion, its loss by a loop over eight images, and who learns from whom."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ops.classifiers.contrastive.diagnostics import TEMPERATURE, OnlineProbe, vote
from ops.classifiers.contrastive.following import Follower, choose_decay, grow_decay
from ops.classifiers.contrastive.methods import METHODS, Method, Moco
from ops.classifiers.networks.classifier import Classifier
from ops.recipe.arms import Arm, SmallResNet

COUNT = 8
IDS = torch.tensor([0, 1, 2, 3, 4, 5, 6, 1])


def build(kind: str, **keys: Any) -> tuple[Classifier, Method]:
    torch.manual_seed(0)
    network = Classifier(SmallResNet(width=4), (1, 12, 12), 3)
    trainer = Arm.model_validate({"trainer": {"kind": kind, **keys}}).trainer
    return network, METHODS[kind](network, trainer, 10).train()


def draw(seed: int) -> Tensor:
    return torch.randn(2 * COUNT, 1, 12, 12, generator=torch.Generator().manual_seed(seed))


def list_sizes(layers: nn.Module) -> list[tuple[int, int]]:
    return [(layer.in_features, layer.out_features) for layer in layers.modules() if isinstance(layer, nn.Linear)]


def test_projectors_have_the_published_forms_in_proportion_to_the_features() -> None:
    """Of ResNet-18, 512 features: 2048 and 256; 4096 and 256; 2048 three times. Here there are 8."""
    forms = {
        "simclr": ([(8, 32), (32, 4)], 0),
        "moco": ([(8, 32), (32, 4)], 0),
        "byol": ([(8, 64), (64, 4)], 1),
        "barlow_twins": ([(8, 32), (32, 32), (32, 32)], 2),
    }
    for kind, (sizes, norms) in forms.items():
        projector = build(kind)[1].projector
        assert list_sizes(projector) == sizes
        assert sum(isinstance(layer, nn.BatchNorm1d) for layer in projector.modules()) == norms
    predictor = build("byol")[1].predictor
    assert isinstance(predictor, nn.Module) and list_sizes(predictor) == [(4, 64), (64, 4)]


def cosine(one: Tensor, other: Tensor) -> float:
    a, b = one.double().tolist(), other.double().tolist()
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def test_simclr_over_a_batch_with_a_copy() -> None:
    _, method = build("simclr", temperature=0.3)
    (z,) = method.compare(draw(1), 0)
    z, total = z.detach(), 0.0
    for i in range(2 * COUNT):
        partner = (i + COUNT) % (2 * COUNT)
        known = [j for j in range(2 * COUNT) if j == partner or int(IDS[i % COUNT]) != int(IDS[j % COUNT])]
        others = sum(math.exp(cosine(z[i], z[j]) / 0.3) for j in known)
        total -= math.log(math.exp(cosine(z[i], z[partner]) / 0.3) / others)
    assert method.find_loss((z,), IDS).item() == pytest.approx(total / 16, rel=1e-4)


def test_moco_compares_with_keys_of_the_other_view_of_earlier_steps() -> None:
    _, method = build("moco", temperature=0.3, queue=12)
    assert isinstance(method, Moco)
    earlier = [method.compare(draw(step), step)[1] for step in range(2)]
    with torch.no_grad():
        for keys in earlier:
            method.find_loss((torch.zeros_like(keys), keys), IDS + 10 * (keys is earlier[1]))
        queries, keys = method.compare(draw(5), 2)
        ids = IDS + 3
        total = 0.0
        for view in (0, 1):
            q, k = queries[view * COUNT :][:COUNT], keys[(1 - view) * COUNT :][:COUNT]
            old = torch.cat([part[(1 - view) * COUNT :][:COUNT] for part in reversed(earlier)])[:COUNT]
            old_ids = (IDS + 10).tolist()  # a queue of 12 holds one batch of 8
            for i in range(COUNT):
                own = math.exp(cosine(q[i], k[i]) / 0.3)
                others = [math.exp(cosine(q[i], old[j]) / 0.3) for j in range(COUNT) if old_ids[j] != int(ids[i])]
                total -= math.log(own / (own + sum(others)))
        assert method.find_loss((queries, keys), ids).item() == pytest.approx(total / 16, rel=1e-4)
    assert [len(queue) for queue in method.queues] == [COUNT, COUNT] and len(method.queue_ids) == COUNT


def test_byol_predicts_what_the_average_sees_in_the_other_view() -> None:
    _, method = build("byol")
    predicted, wanted = method.compare(draw(1), 0)
    total = sum(2 - 2 * cosine(predicted[i].detach(), wanted[(i + COUNT) % 16]) for i in range(16)) / COUNT
    assert method.find_loss((predicted, wanted), IDS).item() == pytest.approx(total, rel=1e-4)


def test_barlow_twins_weighs_correlations_of_different_numbers() -> None:
    _, method = build("barlow_twins", redundancy=0.5)
    (z,) = method.compare(draw(1), 0)
    one, other = ((part - part.mean(0)) / (part.var(0, correction=0) + 1e-5).sqrt() for part in z.detach().chunk(2))
    total = 0.0
    for i in range(z.shape[1]):
        for j in range(z.shape[1]):
            c = sum(float(one[b, i] * other[b, j]) for b in range(COUNT)) / COUNT
            total += (1 - c) ** 2 if i == j else 0.5 * c**2
    assert method.find_loss((z,), IDS).item() == pytest.approx(0.1 * total, rel=1e-4)


@pytest.mark.parametrize("kind", METHODS)
def test_the_network_learns_and_averages_only_follow(kind: str) -> None:
    network, method = build(kind)
    moved = {id(parameter) for parameter in method.parameters()}
    assert {id(parameter) for parameter in network.body.parameters()} <= moved
    assert not any(id(parameter) in moved for parameter in network.head.parameters())
    for step in range(2):  # the first loss of moco has nothing to compare with
        loss = method.find_loss(method.compare(draw(step), step), IDS)
    loss.backward()
    assert all(parameter.grad is not None for parameter in method.parameters())
    assert method.features.shape == (16, 8) and not method.features.requires_grad
    if isinstance(follower := getattr(method, "follower", None), Follower):
        assert not any(id(parameter) in moved for parameter in follower.average.parameters())
        assert all(parameter.grad is None for parameter in follower.average.parameters())


def test_an_average_follows_by_its_decay_which_grows() -> None:
    network = nn.Linear(2, 1, bias=False)
    follower = Follower(network, 0.5, 1.0, 4)
    before = follower.average.weight.clone()
    with torch.no_grad():
        network.weight.fill_(3.0)
    expected = before.detach()
    for step in range(4):
        follower.follow(step)
        decay = grow_decay(0.5, 1.0, step, 4)
        expected = decay * expected + (1 - decay) * 3.0
    assert torch.allclose(follower.average.weight, expected)
    decays = [grow_decay(0.99, 0.999, step, 100) for step in range(101)]
    assert decays == sorted(decays) and decays[0] == 0.99 and decays[-1] == 0.999


def test_without_a_decay_byols_average_covers_a_twentieth_of_the_steps() -> None:
    for steps in (21, 60, 200, 1_999):
        assert 1 / (1 - choose_decay(steps)) == pytest.approx(steps / 20)
    assert [choose_decay(steps) for steps in (1, 20, 2_000, 100_000)] == [0.0, 0.0, 0.99, 0.99]
    trainer = Arm.model_validate({"trainer": "byol"}).trainer
    network = Classifier(SmallResNet(width=4), (1, 12, 12), 3)
    own = Arm.model_validate({"trainer": {"kind": "byol", "decay": 0.3}}).trainer
    first = [METHODS["byol"](network, each, 50).follower.range for each in (trainer, own)]
    assert first == [(0.6, 1.0), (0.3, 1.0)]


def test_the_online_probe_learns_from_labels_and_leaves_features_alone() -> None:
    torch.manual_seed(0)
    labels = torch.arange(60) % 3
    features = (torch.randn(60, 6) + 3 * torch.eye(6)[labels]).requires_grad_()
    probe = OnlineProbe(6, 3, "cpu")
    for _ in range(200):
        probe.learn(features, labels)
    assert features.grad is None
    assert (probe.answer(features.detach()) == labels).float().mean() > 0.9
    before = [parameter.clone() for parameter in probe.layers.parameters()]
    probe.learn(features[:1], labels[:1])
    probe.learn(features[:0], labels[:0])
    assert all(torch.equal(a, b) for a, b in zip(before, probe.layers.parameters(), strict=True))


def test_neighbours_vote_by_their_cosines() -> None:
    generator = torch.Generator().manual_seed(0)
    known, asked = torch.randn(40, 5, generator=generator), torch.randn(9, 5, generator=generator)
    labels = torch.arange(40) % 4
    for i, found in enumerate(vote(known, labels, asked, 4).tolist()):
        nearest = sorted(range(40), key=lambda j: -cosine(asked[i], known[j]))[:20]
        votes = [
            sum(math.exp(cosine(asked[i], known[j]) / TEMPERATURE) for j in nearest if j % 4 == c) for c in range(4)
        ]
        assert found == max(range(4), key=votes.__getitem__)
    assert vote(known[:3], labels[:3], asked, 4).max() <= 2, "fewer images than neighbours"
