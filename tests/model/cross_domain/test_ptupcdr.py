"""PTUPCDR: a personal matrix from attention over the source history."""

import pytest
import torch

from recbole_diffusion.testing import FAST, ColdUserContract


class TestPTUPCDR(ColdUserContract):
    model = "PTUPCDR"
    options = {**FAST, "learning_rate": 0.01, "train_batch_size": 16}

    @pytest.mark.parametrize("floor", [None, 4.0])
    def test_transfer_equals_a_plain_loop_in_float64(self, checkerboard, floor):
        model = self.build(checkerboard, history_floor=floor).model.double().eval()
        users = model.shared[[4, 0, 2]]
        found = model.transfer(users)
        rows = model.source_ratings
        for k, user in enumerate(users.tolist()):
            mine = (rows.users == model.source_of[user]) & (rows.ratings >= (floor or 0))
            assert int(mine.sum()) == (15 if floor else 30) or floor
            v = torch.cat(
                [model.source.items[rows.items[mine]], model.source.item_bias[rows.items[mine], None]], 1
            )
            weights = torch.softmax(model.attention(v).squeeze(1), 0)
            bridge = model.meta((weights[:, None] * v).sum(0)).view(model.width, model.width)
            u = model.source.user_vectors(model.source_of[user : user + 1])[0]
            assert torch.allclose(found[k], u @ bridge, rtol=1e-10, atol=1e-12)

    def test_a_user_without_liked_items_has_the_common_bridge(self, checkerboard):
        model = self.build(checkerboard, history_floor=9.0).model.eval()
        assert not model.characteristics(model.shared[:3]).any()

    def test_the_task_loss_is_of_all_ratings_with_shift_and_absolute_errors(self, checkerboard):
        model = (
            self.build(checkerboard, task_absolute=0.25, item_offset_reg_weight=3.0).model.double().train()
        )
        torch.nn.init.normal_(model.item_offset)
        users = model.shared[:5]
        rows = torch.isin(model.ratings.users, users)
        vectors = dict(zip(users.tolist(), model.transfer(users), strict=True))
        items, offsets = model.item_side()
        pairs = zip(model.ratings.users[rows].tolist(), model.ratings.items[rows].tolist(), strict=True)
        predicted = torch.stack([vectors[user] @ items[item] + offsets[item] for user, item in pairs])
        error = predicted - model.ratings.ratings[rows]
        expected = 0.75 * error.square().mean() + 0.25 * error.abs().mean()
        expected = (
            expected
            + 3.0 * model.item_offset.square().sum() / torch.isin(model.ratings.users, model.shared).sum()
        )
        assert torch.allclose(model.task_loss(users), expected, rtol=1e-6)


def test_the_learned_offsets_of_items_are_in_the_scores(two_domains):
    built = TestPTUPCDR().build(two_domains, item_offset_reg_weight=16.0)
    model = built.model.eval()
    users = {model.USER_ID: built.dataset.test_users[:3]}
    before = model.full_sort_predict(users).view(3, -1)
    offsets = torch.linspace(-1, 1, model.n_items)
    with torch.no_grad():
        model.item_offset.copy_(offsets)
    after = model.train().eval().full_sort_predict(users).view(3, -1)
    assert torch.allclose(after - before, offsets.expand(3, -1), atol=1e-5)
