"""TVDiff's chain with few full products: its algebra, its error, and lists equal to the plain chain's."""

import pytest
import torch

from recbole_diffusion.diffusion import GaussianDiffusion
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.rows import tvdiff
from recbole_diffusion.model.rows.tvdiff_chain import (
    BLOCKS,
    Chain,
    ShortChain,
    block_sizes,
    make_block,
    short_chain,
)
from recbole_diffusion.model.user_blocks import KeptUsers, checksum
from recbole_diffusion.serving.scoring import finder_for_users
from recbole_diffusion.testing import Built

STEPS, WIDTH, ITEMS = 50, 24, 300


def a_chain(
    ones: bool = False, dtype: torch.dtype = torch.float64, size: float = 0.2
) -> tuple[Chain, torch.Tensor, torch.Tensor]:
    """Return a chain whose every step matters, z of 80 users, and H; ``size`` of W_I, and so of M."""
    draw = torch.Generator().manual_seed(0)
    diffusion = GaussianDiffusion(torch.linspace(1e-3, 5e-2, STEPS, dtype=torch.float64))
    items = torch.randn(ITEMS, WIDTH + ones, generator=draw, dtype=torch.float64) * 0.3
    product = items.T @ torch.randn(ITEMS, WIDTH, generator=draw, dtype=torch.float64) * size
    times = torch.randn(STEPS, WIDTH, generator=draw, dtype=torch.float64) * 0.1
    z = torch.randn(80, WIDTH, generator=draw, dtype=torch.float64)
    tables = times, diffusion.posterior_x0, diffusion.posterior_xt, product
    return Chain(*(one.to(dtype) for one in tables)), z.to(dtype), items.to(dtype)


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("sizes", [[1, 48], [1, 2, 20, 26], [1] * 49, [1, 2, 6, 10, 10, 10, 10]])
def test_with_exact_products_inside_the_blocks_are_the_plain_chain(ones, sizes, monkeypatch):
    monkeypatch.setattr("recbole_diffusion.model.rows.tvdiff_chain.USERS", 32)
    monkeypatch.setattr("recbole_diffusion.model.rows.tvdiff_chain.CELLS", 200)
    chain, z, _ = a_chain(ones)
    short = ShortChain(chain, sizes)
    short._short = short._exact
    plain = chain.plain(z)
    assert torch.allclose(short(z), plain, rtol=1e-9, atol=1e-9)
    assert (plain - z).norm() > 0.5 * z.norm()


def test_the_tables_chain_is_the_models(checkerboard, monkeypatch):
    """Plain here, ``_reverse`` in the model, which the dense chain is held against."""
    options = {"hidden_size": 16, "steps": 8, "chain_tolerance": 3e-5}
    built = Built("TVDiff", checkerboard.name, {**checkerboard.overrides, **options})
    model = built.model.eval()
    made = []
    monkeypatch.setattr(tvdiff, "WIDE", 8)
    monkeypatch.setattr(tvdiff, "multiplies_bfloat16", lambda _: True)
    monkeypatch.setattr(tvdiff, "short_chain", lambda chain, *_: made.append(chain))
    assert model.short_chain() is None
    z = torch.randn(5, 16)
    with torch.no_grad():
        assert torch.allclose(made[0].end(made[0].plain(z)), model._reverse(z, None), rtol=1e-5, atol=1e-6)


def test_weights_of_a_block_are_its_steps_one_after_the_other():
    chain, *_ = a_chain()
    block = make_block(chain, 30, 4)
    kept, known, shares = 1.0, 0.0, []
    for number, t in enumerate(range(30, 26, -1)):
        assert (block[number].kept, block[number].known) == pytest.approx((kept, known))
        c1, c2 = float(chain.x0[t]), float(chain.xt[t])
        kept, known = kept * c2, known * c2 + c1
        shares = [*(share * c2 for share in shares), c1]
        assert block[number].weight == pytest.approx(c1 / kept)
    assert [step.share for step in block] == pytest.approx(shares)


@pytest.mark.parametrize("blocks", BLOCKS)
def test_blocks_share_the_chain(blocks):
    x0 = torch.linspace(0.01, 1, 60)
    sizes = block_sizes(x0, blocks)
    assert (len(sizes), sum(sizes), sizes[:2]) == (blocks, 59, [1, 2])
    assert min(sizes) >= 1
    if blocks == 5:  # the largest c1 come first: the blocks grow
        assert sizes[2] < sizes[3] < sizes[4]


def test_a_smaller_tolerance_takes_more_blocks_and_is_kept():
    chain, z, items = a_chain(dtype=torch.float32, size=0.02)
    plain = chain.end(chain.plain(z))
    found = [short_chain(chain, z, items, tolerance) for tolerance in (1e-2, 2e-4)]
    assert len(found[0].blocks) < len(found[1].blocks)
    for short, tolerance in zip(found, (1e-2, 2e-4), strict=True):
        off = (chain.end(short(z)) - plain).norm(dim=1) / plain.norm(dim=1)
        assert 1e-7 < off.max() <= tolerance
        assert short.error == pytest.approx(float(off.max()))
    assert short_chain(chain, z, items, 1e-7) is None  # not within reach: the plain chain
    assert short_chain(Chain(chain.times, chain.x0, chain.xt, chain.product * torch.nan), z, items, 1) is None


def test_doubt_covers_the_differences_of_scores():
    chain, z, items = a_chain(dtype=torch.float32, size=0.02)
    short = short_chain(chain, z[:40], items, 2e-3)
    exact, near = chain.end(chain.plain(z)), chain.end(short(z))
    scores, off = exact @ items.T, near @ items.T - exact @ items.T
    best = scores.topk(20).indices
    lengths = items.norm(dim=1)[best]
    allowed = short.doubt * near.norm(dim=1)[:, None] * (lengths[:, 1:] + lengths[:, :-1])
    errors = off.gather(1, best).diff(dim=1).abs()
    assert (errors <= allowed).all()
    assert (errors[:40] > 0.3 * allowed[:40]).any()  # twice the largest of the sample, not a hundred times


def test_lists_are_those_of_the_plain_chain(checkerboard, monkeypatch):
    monkeypatch.setattr(tvdiff, "WIDE", 8)
    monkeypatch.setattr(tvdiff, "SAMPLE", 16)
    monkeypatch.setattr(tvdiff, "multiplies_bfloat16", lambda _: True)
    options = {"hidden_size": 16, "embedding_size": 8, "steps": 50, "chain_tolerance": 5e-3}
    noisy = {"noise_scale": 1.0, "noise_min": 1e-3, "noise_max": 0.05, "first_beta": None}
    built = Built("TVDiff", checkerboard.name, {**checkerboard.overrides, **options, **noisy})
    model = built.model
    draw = torch.Generator().manual_seed(7)
    for name, value in model.named_parameters():
        value.data = torch.randn(value.shape, generator=draw) * 0.3
        if name == "W_I":
            value.data[0] = 0
    model.eval()
    users = torch.arange(1, model.n_users)
    near, doubt = model.inner_products().near(users)
    exact = model.inner_products().users(users)
    assert (doubt > 0).all()
    assert 0 < (near - exact).norm(dim=1).max() / exact.norm(dim=1).min() < 0.1
    cells = torch.arange(len(users)), users % (model.n_items - 1) + 1
    found = finder_for_users(model, 0)(users, 10, cells)[1]
    scores = exact @ model.inner_products().items.T
    scores[:, 0] = scores[cells] = -torch.inf
    assert torch.equal(found, scores.topk(10).indices)
    assert set(model.final_diagnostics()["chain"]) == {"products", "largest_error"}
    model.options = type(model.options)(**{**vars(model.options), "chain_tolerance": 0.0})
    model.train().eval()
    assert not model.inner_products().near(users)[1].any()


def test_what_evaluation_derived_outlives_equal_weights_alone(checkerboard):
    model = Built("TVDiff", checkerboard.name, {**checkerboard.overrides, "hidden_size": 16}).model.eval()
    calls = []
    compute = model.near_users.compute
    model.near_users.compute = lambda users: (calls.append(len(users)), compute(users))[1]
    users = torch.tensor([3, 4, 3])
    first = model.inner_products().near(users)[0]
    model.load_state_dict({name: value.clone() for name, value in model.state_dict().items()})
    model.eval()
    again = model.inner_products().near(torch.tensor([4, 5]))[0]
    assert torch.equal(first[1], again[0])
    assert calls == [2, 1]  # distinct users, and of the second call the new one
    model.W_I.data[7] += 1.0  # no step of an optimizer, which autograd would count
    model.eval()
    model.inner_products().near(users)
    assert calls == [2, 1, 2]
    model.train()
    model.eval()
    model.inner_products().near(users)
    assert calls == [2, 1, 2, 2]


def test_users_are_not_kept_where_all_have_no_room(monkeypatch):
    monkeypatch.setattr("recbole_diffusion.model.user_blocks.KEPT", 30)
    for n_users, asked in ((10, [2]), (11, [2, 2])):
        calls = []

        def compute(users, calls=calls):
            calls.append(len(users))
            return users[:, None].repeat(1, 3).float(), -users.float()

        kept = KeptUsers(n_users, 3, compute)
        for _ in range(2):
            vectors, numbers = kept.gather(torch.tensor([4, 9]))
            assert vectors.tolist() == [[4, 4, 4], [9, 9, 9]]
            assert numbers.tolist() == [-4, -9]
        assert calls == asked


@pytest.mark.parametrize("value", [-1e-5, 0.5])
def test_tolerance_has_a_range(checkerboard, value):
    with pytest.raises(UsageError, match="chain_tolerance"):
        Built("TVDiff", "no such data set", {**checkerboard.overrides, "chain_tolerance": value})


def test_a_checksum_tells_weights_apart_that_have_changed_places():
    weights = torch.randn(5, 4)
    assert checksum([weights]) == checksum([weights.clone()])
    assert checksum([weights]) != checksum([weights.flip(0)])
