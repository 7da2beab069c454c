"""MixGCF: a plain loop, the law of the mixing coefficients, and where the gradient goes."""

import pytest
import torch
from scipy import stats

from recbole_diffusion.sampler.mixgcf import mixgcf

N_ITEMS, BATCH, POOL, WIDTH = 9, 6, 4, 5


def case(n_layers=3, seed=0):
    """Return user vectors, layer tables, positive ids and candidate ids in float64."""
    generator = torch.Generator().manual_seed(seed)
    users = torch.randn(BATCH, WIDTH, generator=generator, dtype=torch.float64)
    layers = [torch.randn(N_ITEMS, WIDTH, generator=generator, dtype=torch.float64) for _ in range(n_layers)]
    positives = torch.randint(1, 4, (BATCH,), generator=generator)
    candidates = torch.randint(4, N_ITEMS, (BATCH, POOL), generator=generator)
    return users, layers, positives, candidates


def loop(users, layers, positives, candidates, coefficients):
    """Mix every candidate in every layer and take the best.

    Return the mean, and per layer the winners and their coefficients.

    Args:
        coefficients: [L + 1, batch, N].
    """
    result = torch.zeros(BATCH, WIDTH, dtype=torch.float64)
    taken = []
    for layer, table in enumerate(layers):
        for row in range(BATCH):
            mixed = []
            for place in range(POOL):
                a = coefficients[layer, row, place]
                mixed.append(a * table[positives[row]] + (1 - a) * table[candidates[row, place]])
            scores = [float(users[row].dot(vector)) for vector in mixed]
            best = scores.index(max(scores))
            result[row] += mixed[best] / len(layers)
            taken.append(
                (
                    layer,
                    int(positives[row]),
                    int(candidates[row, best]),
                    float(coefficients[layer, row, best]),
                )
            )
    return result, taken


def coefficients_of(seed, n_layers, share):
    """Return what mixgcf draws from a generator of this seed: layer by layer, [L + 1, batch, N]."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [
        torch.rand(BATCH, 1 if share else POOL, generator=generator, dtype=torch.float64)
        for _ in range(n_layers)
    ]
    return torch.stack([layer.expand(BATCH, POOL) for layer in drawn])


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_equals_the_plain_loop(n_layers, share):
    for seed in range(5):
        arguments = case(n_layers, seed)
        expected, taken = loop(*arguments, coefficients_of(seed, n_layers, share))
        generator = torch.Generator().manual_seed(seed)
        found = mixgcf(*arguments, share_coefficients=share, generator=generator)
        torch.testing.assert_close(found, expected)
        assert n_layers == 1 or len({item for _, _, item, _ in taken}) > 1


@pytest.mark.parametrize("share", [False, True])
def test_the_gradient_reaches_the_positive_and_the_winners_and_nothing_else(share):
    users, layers, positives, candidates = case()
    users.requires_grad_()
    for table in layers:
        table.requires_grad_()
    generator = torch.Generator().manual_seed(2)
    mixgcf(
        users, layers, positives, candidates, share_coefficients=share, generator=generator
    ).sum().backward()
    with torch.no_grad():
        _, taken = loop(users, layers, positives, candidates, coefficients_of(2, 3, share))
    expected = torch.zeros(3, N_ITEMS, dtype=torch.float64)
    for layer, positive, candidate, a in taken:
        expected[layer, positive] += a / 3
        expected[layer, candidate] += (1 - a) / 3
    for table, row_weights in zip(layers, expected, strict=True):
        torch.testing.assert_close(table.grad, row_weights[:, None].expand(-1, WIDTH))
        assert bool((table.grad[1:4] != 0).any())
        assert bool((table.grad[4:] != 0).any())
    assert users.grad is None


def test_the_graph_keeps_no_candidate_vectors():
    users, layers, positives, candidates = case()
    users.requires_grad_()
    for table in layers:
        table.requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor
    ):
        mixgcf(users, layers, positives, candidates)
    assert 0 < max(kept) <= BATCH * WIDTH


def one_hot_pool(rows, positive_score):
    """Item 1 is the positive, items 2 to 4 the candidates; column k of the result is the share of item k + 1.

    Candidates score 1, 3 and 2, so that item 3 is the hardest.
    """
    users = torch.tensor([positive_score, 1.0, 3.0, 2.0]).repeat(rows, 1)
    table = torch.cat([torch.zeros(1, 4), torch.eye(4)])
    return users, table, torch.ones(rows, dtype=torch.long), torch.tensor([2, 3, 4]).repeat(rows, 1)


def test_hand_case_of_two_layers_with_different_winners():
    users, table, positives, candidates = one_hot_pool(1, 0.0)
    other = table[[0, 1, 3, 4, 2]]  # in layer 1 item 2 points where item 3 did
    generator = torch.Generator().manual_seed(0)
    mixed = mixgcf(users, [table, other], positives, candidates, share_coefficients=True, generator=generator)
    first, second = torch.rand(2, 1, 1, generator=torch.Generator().manual_seed(0)).flatten().tolist()
    # both layers' winners are the vector of score 3; items 3 and 2 respectively
    assert mixed[0].tolist() == pytest.approx([(first + second) / 2, 0, (2 - first - second) / 2, 0])


def test_shared_coefficients_take_the_hardest_candidate_and_stay_uniform():
    users, table, positives, candidates = one_hot_pool(5000, 8.0)
    generator = torch.Generator().manual_seed(1)
    mixed = mixgcf(users, [table], positives, candidates, share_coefficients=True, generator=generator)
    assert bool((mixed[:, [1, 3]] == 0).all())
    torch.testing.assert_close(mixed[:, 0] + mixed[:, 2], torch.ones(5000))
    assert stats.kstest(mixed[:, 0].numpy(), "uniform").pvalue > 1e-3


def test_own_coefficients_choose_the_winner_too():
    equal = torch.tensor([[5.0, 1.0, 1.0, 1.0]]).repeat(
        5000, 1
    )  # candidates score the same: the largest of three a wins
    _, table, positives, candidates = one_hot_pool(5000, 0.0)
    mixed = mixgcf(equal, [table], positives, candidates, generator=torch.Generator().manual_seed(1))
    assert stats.kstest(mixed[:, 0].numpy(), stats.beta(3, 1).cdf).pvalue > 1e-3
    assert stats.chisquare((mixed[:, 1:] > 0).sum(0).numpy()).pvalue > 1e-3


def test_one_candidate_of_one_layer_is_uniform_on_the_segment_and_repeatable():
    users, table, positives, candidates = one_hot_pool(5000, 8.0)
    mixed = mixgcf(users, [table], positives, candidates[:, :1], generator=torch.Generator().manual_seed(3))
    assert stats.kstest(mixed[:, 0].numpy(), "uniform").pvalue > 1e-3
    again = mixgcf(users, [table], positives, candidates[:, :1], generator=torch.Generator().manual_seed(3))
    assert torch.equal(mixed, again)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": []}, "layers is empty"),
        ({"layers": [torch.zeros(9, 5), torch.zeros(9, 4)]}, r"\(9, 4\)"),
        ({"layers": [torch.zeros(9, 5), torch.zeros(8, 5)]}, r"\(8, 5\)"),
        ({"candidate_ids": torch.zeros(6, 0, dtype=torch.long)}, "N at least 1"),
        ({"candidate_ids": torch.zeros(6, dtype=torch.long)}, "N at least 1"),
        ({"positives_ids": torch.zeros(5, dtype=torch.long)}, "positives_ids"),
        ({"user_vectors": torch.zeros(5, 5)}, "user_vectors"),
    ],
)
def test_refuses(change, message):
    names = ("user_vectors", "layers", "positives_ids", "candidate_ids")
    with pytest.raises(ValueError, match=message):
        mixgcf(**{**dict(zip(names, case(), strict=True)), **change})


def test_the_result_follows_the_device(torch_device):
    users, layers, positives, candidates = case()
    moved = [tensor.to(torch_device) for tensor in (users, positives, candidates)]
    tables = [table.to(torch_device) for table in layers]
    generator = torch.Generator(torch_device).manual_seed(0)
    found = mixgcf(moved[0], tables, moved[1], moved[2], generator=generator)
    assert found.device.type == torch_device.type
    assert found.shape == (BATCH, WIDTH)
