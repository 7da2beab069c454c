"""Rows of tables: values and gradients against an index, in float64."""

import pytest
import torch

from recbole_diffusion.model.table_rows import gather_rows, margins


@pytest.fixture
def triples():
    torch.manual_seed(0)
    left = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    right = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    return left, right, torch.randint(0, 4, (11,)), *torch.randint(0, 6, (2, 11))  # rows repeat


def test_margins_are_differences_of_scores_with_gradient(triples, torch_device):
    left, right, i, p, n = (one.detach().to(torch_device) for one in triples)
    left.requires_grad_()
    right.requires_grad_()
    plain = (left[i] * right[p]).sum(1) - (left[i] * right[n]).sum(1)
    assert torch.allclose(margins(left, right, i, p, n), plain)
    assert torch.autograd.gradcheck(lambda u, v: margins(u, v, i, p, n), (left, right))


def test_gathered_rows_have_the_gradient_of_an_index(triples, torch_device):
    table, numbers = triples[1].detach().to(torch_device).requires_grad_(), triples[3].to(torch_device)
    assert torch.equal(gather_rows(table, numbers), table[numbers])
    assert torch.autograd.gradcheck(lambda v: gather_rows(v, numbers), (table,))
