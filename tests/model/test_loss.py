"""Shared losses against their definitions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.model import loss
from recbole_diffusion.model.layers import bag_sums


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31 - 1))
def test_full_catalogue_squared_error_equals_the_plain_sum(batch, n_items, width, seed):
    generator = torch.Generator().manual_seed(seed)
    x0 = (torch.rand(batch, n_items, generator=generator) < 0.4).double()
    vectors = torch.randn(batch, width, generator=generator, dtype=torch.float64).requires_grad_()
    items = torch.randn(n_items, width, generator=generator, dtype=torch.float64).requires_grad_()
    plain = (x0 - vectors @ items.T).square().sum(1)
    found = loss.full_catalogue_squared_error(vectors, items, x0 @ items, x0.sum(1))
    assert torch.allclose(found, plain, rtol=1e-10, atol=1e-10)
    for mine, theirs in zip(
        torch.autograd.grad(found.sum(), (vectors, items)),
        torch.autograd.grad(plain.sum(), (vectors, items)),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-9)


def test_losses_by_hand():
    positive, negative = torch.tensor([0.0, math.log(3)]), torch.tensor([0.0, 0.0])
    # the sigmoids are one half and three quarters
    assert loss.bpr(positive, negative).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    assert loss.binary_cross_entropy(positive, negative).item() == pytest.approx(
        math.log(2) + math.log(4 / 3) + 2 * math.log(2)
    )
    assert loss.negative_log_likelihood(positive).item() == pytest.approx(math.log(2) + math.log(4 / 3))
    assert math.isfinite(loss.bpr(torch.tensor([-500.0]), torch.tensor([500.0])).item())


@pytest.mark.parametrize("ratio", [0, 10**9])  # always gathered, always multiplied
@pytest.mark.parametrize("weighted", [False, True])
def test_sum_by_row_equals_the_plain_product_both_ways(ratio, weighted, monkeypatch):
    monkeypatch.setattr(loss, "DENSE_RATIO", ratio)
    table = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    items, starts = (
        torch.tensor([1, 4, 4, 2, 5]),
        torch.tensor([0, 3, 3]),
    )  # the second bag is empty, item 4 is twice in the first
    weights = torch.randn(5, dtype=torch.float64) if weighted else None
    bags = torch.zeros(3, 6, dtype=torch.float64)
    bags.index_put_(
        (torch.tensor([0, 0, 0, 2, 2]), items),
        torch.ones(5).double() if weights is None else weights,
        accumulate=True,
    )
    found = loss.sum_by_row(table, items, starts, weights)
    assert torch.allclose(found, bags @ table)
    (gradient,) = torch.autograd.grad(found.square().sum(), table)
    (plain,) = torch.autograd.grad((bags @ table).square().sum(), table)
    assert torch.allclose(gradient, plain)


@pytest.mark.parametrize("kind", ["blocks of dense rows", "sparse"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_many_bags_equal_the_plain_product_both_ways(kind, weighted, monkeypatch):
    small = {"DENSE_CELLS": 60} if kind != "sparse" else {"DENSE_RATIO": 0, "MANY_ENTRIES": 1}
    for name, value in small.items():
        monkeypatch.setattr(loss, name, value)
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(9, 3, dtype=torch.float64, generator=generator).requires_grad_()
    counts = torch.randint(0, 9, (31,), generator=generator)  # some bags are empty
    items = torch.randint(0, 9, (int(counts.sum()),), generator=generator)
    rows = torch.arange(31).repeat_interleave(counts)
    weights = torch.rand(len(items), dtype=torch.float64, generator=generator) if weighted else None
    ones = torch.ones(len(items), dtype=torch.float64)
    values = ones if weights is None else weights
    bags = torch.zeros(31, 9, dtype=torch.float64).index_put_((rows, items), values, accumulate=True)
    found = loss.sum_by_row(table, items, counts.cumsum(0) - counts, weights)
    torch.testing.assert_close(found, bags @ table)
    (gradient,) = torch.autograd.grad(found.square().sum(), table)
    (plain,) = torch.autograd.grad((bags @ table).square().sum(), table)
    torch.testing.assert_close(gradient, plain)


def test_sum_by_row_of_nothing_is_zero_and_has_a_gradient():
    table = torch.randn(6, 3, requires_grad=True)
    found = loss.sum_by_row(table, torch.empty(0, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    assert found.tolist() == [[0.0] * 3] * 2
    assert torch.autograd.grad(found.sum(), table)[0].abs().sum() == 0


def test_dropout_keeps_the_share_and_the_mean():
    torch.manual_seed(0)
    values = torch.full((400, 500), 3.0)
    dropped = loss.dropout(values, 0.2)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.2, abs=0.005)
    assert float(dropped.mean()) == pytest.approx(3.0, rel=0.01)
    assert torch.equal(loss.dropout(values, 0.0), values)


def test_dense_sums_write_into_earlier_memory_and_stay_right():
    torch.manual_seed(0)
    table = torch.randn(30, 4, dtype=torch.float64, requires_grad=True)
    for rows in (12, 7, 12):  # a smaller batch takes the larger one's memory
        items = torch.randint(0, 30, (rows * 5,))
        of = torch.arange(rows).repeat_interleave(5)
        weights = torch.rand(rows * 5, dtype=torch.float64)
        plain = torch.zeros(rows, 30, dtype=torch.float64).index_put((of, items), weights, accumulate=True)
        first, second = bag_sums(table, of, items, rows, weights), bag_sums(table, of, items, rows)
        torch.testing.assert_close(first, plain @ table)
        (first.sum() + 2 * second.sum()).backward()
        counts = torch.bincount(items, minlength=30).double()
        torch.testing.assert_close(table.grad, (plain.sum(0) + 2 * counts)[:, None].expand(30, 4))
        table.grad = None


def test_dense_sums_are_differentiated_once():
    table = torch.randn(6, 2, requires_grad=True)
    sums = bag_sums(table, torch.zeros(3, dtype=torch.long), torch.arange(3), 1)
    sums.sum().backward(retain_graph=True)
    with pytest.raises(AttributeError):
        sums.sum().backward()
