"""SSCDR: a mapping that keeps the distances of source pairs, of users seen through their neighbours."""

import torch

from recbole_diffusion.model.cross_domain.sscdr import into_ball
from recbole_diffusion.testing import FAST, ColdUserContract


class TestSSCDR(ColdUserContract):
    model = "SSCDR"
    options = {**FAST, "learning_rate": 0.01, "train_batch_size": 16}

    def test_the_distance_loss_equals_a_plain_loop_in_float64(self, checkerboard):
        model = self.build(checkerboard, margin=0.7).model.double()
        model.begin_transfer()
        users, liked, others = torch.tensor([1, 5, 9]), torch.tensor([2, 3, 7]), torch.tensor([8, 1, 4])

        def mapped(point):
            out = model.mapping(point)
            return out / max(1.0, float(out.detach().norm()))

        total = 0.0
        for u, i, j in zip(users, liked, others, strict=True):
            points = [torch.cat([model.source.items[k], model.source.item_bias[k : k + 1]]) for k in (i, j)]
            user, near, far = mapped(model.neighbourhood[u]), *map(mapped, points)
            total += max(0.0, float(0.7 + ((user - near) ** 2).sum() - ((user - far) ** 2).sum()))
        assert abs(float(model.distance_loss(users, liked, others)) - total / 3) < 1e-10

    def test_no_hop_is_the_vector_itself_and_one_is_half_its_liked_items(self, checkerboard):
        model = self.build(checkerboard, hops=0).model.double()
        model.begin_transfer()
        assert torch.equal(model.neighbourhood, model.source.user_vectors())
        model = self.build(checkerboard, hops=1).model.double()
        model.begin_transfer()
        rows = model.source_ratings
        liked = rows.items[(rows.users == 6) & (rows.ratings >= 4)]
        points = torch.cat([model.source.items, model.source.item_bias[:, None]], 1)
        expected = (model.source.user_vectors()[6] + points[liked].mean(0)) / 2
        assert torch.allclose(model.neighbourhood[6], expected, atol=1e-10)

    def test_without_liked_pairs_or_weight_the_loss_is_the_supervised_one(self, checkerboard):
        model = self.build(checkerboard, unsupervised_weight=0.5).model.train()
        model.begin_transfer()
        mapped, wanted = model.transfer(model.shared), model.target_vectors(model.shared)
        supervised = (mapped - wanted).square().sum(1).mean()
        assert model.mapping_loss(model.shared) > supervised
        model.pairs = model.pairs[:0]
        assert torch.equal(model.mapping_loss(model.shared), supervised)

    def test_pairs_are_liked_source_pairs_and_negatives_are_not(self, checkerboard, monkeypatch):
        model = self.build(checkerboard).model.train()
        model.begin_transfer()
        rows = model.source_ratings
        liked = {
            pair
            for pair, r in zip(
                zip(rows.users.tolist(), rows.items.tolist(), strict=True), rows.ratings, strict=True
            )
            if r == 5
        }
        assert set(map(tuple, model.pairs.tolist())) == liked
        seen = []
        monkeypatch.setattr(model, "distance_loss", lambda *ids: seen.append(ids) or torch.zeros(()))
        model.mapping_loss(model.shared)
        users, near, far = (ids.tolist() for ids in seen[0])
        assert len(users) == len(model.shared)
        assert set(zip(users, near, strict=True)) <= liked
        assert not set(zip(users, far, strict=True)) & liked

    def test_the_ball(self):
        points = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
        assert torch.allclose(into_ball(points), torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
