"""CFGAN: the contract where it applies, and its losses against their plain forms."""

import pytest
import torch

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

    def test_learns_the_checkerboard(self, checkerboard, tmp_path):
        """The losses of two players need not fall: what is asked for is that the liked items are found."""
        _, _, result = self.trained(
            checkerboard, tmp_path / "runs", epochs=self.epochs, stopping_step=self.epochs
        )
        assert result["rated_unfiltered_ndcg@5"] > 0.9


def test_losses_are_those_of_the_minimax_game(checkerboard):
    built = TestCFGAN().build(checkerboard, masked_negatives=0, zero_negatives=0)
    model = built.model
    batch = {model.USER_ID: torch.tensor([1, 2])}
    row, mask = model._rows(batch[model.USER_ID])
    fake = torch.sigmoid(model.generator(row)) * mask
    real_odds = torch.sigmoid(model.critic(torch.cat([row, row], 1)))
    fake_odds = torch.sigmoid(model.critic(torch.cat([fake, row], 1)))
    assert float(model.critic_loss(batch)) == pytest.approx(
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
