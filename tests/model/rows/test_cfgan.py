"""CFGAN: the contract where it applies, and its losses against their plain forms."""

import pytest
import torch

from recbole_diffusion.model.rows.cfgan import CFGAN
from recbole_diffusion.testing import ModelContract, make_checkerboard


@pytest.fixture
def checkerboard(tmp_path):
    return make_checkerboard(tmp_path, rated=True)


SMALL = {
    "hidden_size": 16,
    "critic_size": 16,
    "train_batch_size": 10,
    "learning_rate": 0.01,
    "masked_negatives": 3,
    "zero_negatives": 3,
    "valid_metric": "rated_ndcg@5",
}


class TestCFGAN(ModelContract):
    model = "CFGAN"
    options = SMALL
    epochs = 60

    def judged(self):
        return self.judged_every(20)

    def test_learns_the_checkerboard(self, learned):
        """The losses of two players need not fall: what is asked for is that the liked items are found."""
        _, _, result = learned
        assert result["rated_unfiltered_ndcg@5"] > 0.9


def test_losses_are_those_of_the_minimax_game(checkerboard):
    built = TestCFGAN().build(checkerboard, masked_negatives=0, zero_negatives=0)
    model = built.model
    batch = {model.USER_ID: torch.tensor([1, 2])}
    row, mask = model._rows(batch[model.USER_ID])
    fake = torch.sigmoid(model.generator(row)) * mask
    real_odds = torch.sigmoid(model.critic(torch.cat([row, row], 1)))
    fake_odds = torch.sigmoid(model.critic(torch.cat([fake, row], 1)))
    assert model.critic_loss(batch).item() == pytest.approx(
        float(-real_odds.log().mean() - (1 - fake_odds).log().mean()), rel=1e-5
    )
    adversarial, zeros = model.generator_loss(batch)
    assert float(adversarial) == pytest.approx(float((1 - fake_odds).log().mean()), rel=1e-5)
    assert float(zeros) == 0


def test_sampled_zeros_are_unrated(checkerboard):
    model = TestCFGAN().build(checkerboard).model
    users = torch.tensor([1, 2, 3])
    row, mask = model._rows(users)
    sampled = model._sampled(users, mask, 50)
    assert not bool((sampled * mask).any())
    assert bool((sampled.sum(1) <= 10).all())
    assert float(sampled.sum()) > 0
    assert torch.equal(row > 0, mask > 0)


def test_masked_and_zero_negatives_enter_as_the_paper_has_them(checkerboard, monkeypatch):
    model = (
        TestCFGAN().build(checkerboard, masked_negatives=2, zero_negatives=3, zero_weight=0.6).model.double()
    )
    users = torch.tensor([1, 2])
    batch = {model.USER_ID: users}
    row, mask = (one.double() for one in model._rows(users))
    unrated = [(mask[k] == 0).nonzero().flatten()[1:] for k in range(2)]  # the first is the padding item
    masked = torch.zeros_like(mask).index_put_(
        (torch.arange(2), torch.stack([one[3] for one in unrated])), torch.tensor(1.0).double()
    )
    zeros = torch.zeros_like(mask)
    for k in range(2):
        zeros[k, unrated[k][5:8]] = 1
    monkeypatch.setattr(model, "_rows", lambda of: (row, mask))
    monkeypatch.setattr(model, "_sampled", lambda of, rated, count: {2: masked, 3: zeros}[count])
    made = torch.sigmoid(model.generator(row)).detach()
    fake = made * (mask + masked)
    assert not torch.equal(fake, made * mask)
    odds = torch.sigmoid(model.critic(torch.cat([row, row], 1)))
    fake_odds = torch.sigmoid(model.critic(torch.cat([fake, row], 1)))
    assert model.critic_loss(batch).item() == pytest.approx(
        (-odds.log().mean() - (1 - fake_odds).log().mean()).item()
    )
    adversarial, reconstruction = model.generator_loss(batch)
    assert adversarial.item() == pytest.approx((1 - fake_odds).log().mean().item())
    # Each user's sum of squares over the sampled zeros, a mean over users.
    by_hand = [sum(made[k, item].item() ** 2 for item in unrated[k][5:8]) for k in range(2)]
    assert reconstruction.item() == pytest.approx(0.6 * sum(by_hand) / 2)


def test_both_players_are_computed_in_mixed_precision_where_it_is_asked_for(
    checkerboard, tmp_path, monkeypatch
):
    seen = set()
    for name in ("critic_loss", "generator_loss"):
        plain = getattr(CFGAN, name)

        def loss(self, interaction, plain=plain, name=name):
            seen.add((name, torch.is_autocast_enabled("cpu")))
            return plain(self, interaction)

        monkeypatch.setattr(CFGAN, name, loss)
    for asked in (False, True):
        seen.clear()
        TestCFGAN().trained(checkerboard, tmp_path / str(asked), epochs=1, enable_amp=asked)
        assert seen == {("critic_loss", asked), ("generator_loss", asked)}
