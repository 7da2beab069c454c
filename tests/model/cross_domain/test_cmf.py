"""CMF: one factorisation of both domains."""

import pytest
import torch

from recbole_diffusion.testing import FAST, ColdUserContract


class TestCMF(ColdUserContract):
    model = "CMF"
    options = {**FAST, "learning_rate": 0.05, "train_batch_size": 256}

    def test_shared_users_have_one_id_and_the_others_their_own(self, checkerboard):
        built = self.build(checkerboard)
        model, dataset = built.model, built.dataset
        ids = model.common_ids(dataset.shared)
        names, other = (one.field2id_token[one.uid_field] for one in (dataset, dataset.source))
        for own, name in zip(ids.tolist()[1:], other[1:], strict=True):
            assert (names[own] if own < model.n_users else None) == (name if name in set(names[1:]) else None)
        alone = sorted(own for own in ids.tolist() if own >= model.n_users)
        assert alone == list(range(model.n_users, model.n_users + 10))
        assert ids[0] == 0
        assert len(model.factors.users) == model.n_users + 10

    @pytest.mark.parametrize("bias", [True, False])
    def test_the_loss_weighs_source_ratings_in_float64(self, checkerboard, bias):
        free = {"bias": bias, "factor_reg_weight": 0.0, "factor_bias_reg_weight": 0.0}
        built = self.build(checkerboard, source_weight=0.4, **free)
        model, ids = built.model.double(), built.model.common_ids(built.dataset.shared)
        source, target = model.source_ratings, model.ratings
        n = len(target)
        batch = torch.tensor([0, 5, n + 3, n + 90])
        f, total = model.factors, 0.0
        for row in batch.tolist():
            domain, k = (target, row) if row < n else (source, row - n)
            mean = float(domain.ratings.double().mean()) if bias else 0.0
            user = int(domain.users[k]) if row < n else int(ids[domain.users[k]])
            item = int(domain.items[k]) + (0 if row < n else model.n_items)
            predicted = float(f.users[user] @ f.items[item]) + mean
            predicted += float(f.user_bias[user] + f.item_bias[item]) if bias else 0.0
            total += (1.0 if row < n else 0.4) * (predicted - float(domain.ratings[k])) ** 2
        assert abs(float(model.joint_loss(batch)) - total / 4) < 1e-5

    def test_the_loss_mixes_absolute_errors_in(self, checkerboard):
        free = {"factor_reg_weight": 0.0, "factor_bias_reg_weight": 0.0}
        both = [self.build(checkerboard, task_absolute=share, **free).model for share in (0.0, 0.25, 1.0)]
        squared, mixed, absolute = (model.joint_loss(torch.arange(40)) for model in both)
        assert torch.allclose(mixed, 0.75 * squared + 0.25 * absolute)
        assert not torch.allclose(squared, absolute)

    def test_a_cold_user_learns_from_source_ratings(self, checkerboard, tmp_path):
        before = self.build(checkerboard).model.factors.users.detach().clone()
        built, _, _ = self.trained(checkerboard, tmp_path / "runs", epochs=1)
        cold = torch.unique(built.test._dataset.inter_feat[built.model.USER_ID])
        assert not torch.isclose(built.model.factors.users[cold], before[cold]).all(1).any()
