"""What is known of a user in the source: the profile of ratings, histories, softmax within rows."""

import math
import statistics

import torch
from support.small import options_of

from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.model.cross_domain import source_history as history
from recbole_diffusion.model.cross_domain.matrix_factorization import MatrixFactorization, MatrixShape
from recbole_diffusion.model.cross_domain.profile import SourceProfile
from recbole_diffusion.model.cross_domain.source_history import history_of, means_over_pairs, softmax_by_row
from recbole_diffusion.options.cross_domain import CrossDomainOptions

RATINGS = Ratings(
    torch.tensor([3, 1, 3, 1, 3]), torch.tensor([2, 4, 1, 3, 4]), torch.tensor([5.0, 3.0, 4.0, 4.0, 2.0])
)


def test_the_history_is_ascending_and_has_liked_items_alone_if_asked():
    users = torch.arange(4)
    everything, liked = (history_of(RATINGS, MatrixShape(4, 6), floor) for floor in (None, 4.0))
    assert everything.gather(users)[0].tolist() == [3, 4, 1, 2, 4]
    assert everything.gather(users)[2].tolist() == [1, 1, 3, 3, 3]
    assert liked.gather(users)[0].tolist() == [3, 1, 2]
    assert liked.counts(users).tolist() == [0, 1, 0, 2]


def test_softmax_is_within_each_row_however_large_the_scores():
    scores = torch.tensor([1000.0, 1001.0, -1000.0, 2.0, 2.0])
    shares = softmax_by_row(scores, torch.tensor([0, 0, 2, 3, 3]), 4)
    expected = [*torch.softmax(scores[:2], 0).tolist(), 1.0, 0.5, 0.5]
    assert torch.allclose(shares, torch.tensor(expected), atol=1e-6)


def test_means_over_pairs_equal_a_plain_loop(monkeypatch):
    monkeypatch.setattr(history, "BLOCK", 4)
    generator = torch.Generator().manual_seed(1)
    own, others = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (4, 5))
    rows, columns = torch.tensor([0, 0, 2, 2, 2, 3]), torch.tensor([1, 4, 0, 1, 3, 2])
    found = means_over_pairs(own, others, rows, columns)
    for k in range(4):
        near = [others[c] for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if r == k]
        expected = (own[k] + sum(near) / len(near)) / 2 if near else own[k]
        assert torch.allclose(found[k], expected, atol=1e-12)


BLOCKS = {"source_domain": {"dataset": "a"}, "target_domain": {"dataset": "b"}}
USERS = [1, 1, 1, 2, 2, 3, 4, 4, 4, 4]
ITEMS = [1, 2, 3, 1, 4, 2, 1, 2, 3, 4]
STARS = [5.0, 4.0, 1.0, 3.0, 3.0, 2.0, 5.0, 5.0, 4.0, 5.0]


def learned():
    factors = MatrixFactorization(
        MatrixShape(6, 5), options_of(CrossDomainOptions, "DiffCDR", **BLOCKS), 3.5, 0
    )
    torch.nn.init.normal_(factors.item_bias, std=0.5)
    profile = SourceProfile((1.0, 5.0))
    ratings = Ratings(torch.tensor(USERS), torch.tensor(ITEMS), torch.tensor(STARS))
    return factors, profile, profile.learn(ratings, factors, torch.tensor([1, 2, 3]), 6)


def test_profiles_equal_a_plain_loop():
    factors, _, found = learned()
    bias = factors.item_bias.tolist()
    gaps = [stars - 3.5 - bias[item] for item, stars in zip(ITEMS, STARS, strict=True)]
    usual = statistics.pvariance(gaps)
    raw = []
    for user in range(6):
        rows = [k for k in range(10) if USERS[k] == user]
        n = len(rows)
        mean = sum(gaps[k] for k in rows) / (n + 2)
        spread = math.sqrt((sum((gaps[k] - mean) ** 2 for k in rows) + 5 * usual) / (n + 5))
        choice = sum(bias[ITEMS[k]] for k in rows) / (n + 2)
        shares = [
            (sum(STARS[k] == s for k in rows) + 5 * STARS.count(s) / 10) / (n + 5) for s in (1, 2, 3, 4, 5)
        ]
        raw.append([mean, spread, math.log1p(n), choice, *shares])
    raw = torch.tensor(raw)
    mean, deviation = raw[1:4].mean(0), raw[1:4].std(0, correction=0)
    assert torch.allclose(found, ((raw - mean) / deviation).clamp(-4, 4), atol=1e-4)


def test_a_new_user_with_the_same_ratings_has_the_same_profile():
    factors, profile, found = learned()
    again = profile(torch.tensor(ITEMS[3:5]), torch.tensor([0, 0]), torch.tensor(STARS[3:5]), factors, 1)
    assert torch.allclose(again[0], found[2], atol=1e-6)


def test_levels_are_equal_parts_of_the_scale():
    profile = SourceProfile((0.5, 5.0))
    assert profile._levels(torch.tensor([0.5, 1.0, 1.5, 3.0, 4.5, 5.0, 7.0])).tolist() == [
        0,
        0,
        1,
        2,
        4,
        4,
        4,
    ]
