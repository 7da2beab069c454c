"""Published baselines of cold users: the contract of each, and its formula against a plain computation."""

import pytest
import torch
from support.small import options_of

from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.cross_domain.sscdr import into_ball
from recbole_diffusion.testing import FAST, ColdUserContract
from recbole_diffusion.trainer.plain_attributes import PlainState


class TestEMCDR(ColdUserContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64}
    epochs = 60

    def test_the_linear_mapping_has_its_minimum_at_least_squares(self, checkerboard):
        model = self.build(checkerboard).model
        users = model.shared
        exact = torch.linalg.lstsq(
            model.source_vectors(users), model.target_vectors(users), driver="gelsd"
        ).solution.T
        before = model.mapping_loss(users).item()
        with torch.no_grad():
            model.mapping.weight.copy_(exact)
        loss = model.mapping_loss(users)
        loss.backward()
        assert loss.item() < before
        assert model.mapping.weight.grad.abs().max() < 1e-6


class TestPerceptron(ColdUserContract):
    model = "EMCDR"
    options = {**FAST, "learning_rate": 0.03, "train_batch_size": 64, "mapping": "perceptron"}
    epochs = 60


class TestCalibrated(ColdUserContract):
    model = "EMCDR"
    options = {
        **FAST,
        "learning_rate": 0.03,
        "train_batch_size": 64,
        "task_absolute": 0.5,
        "item_offset_reg_weight": 3.0,
    }
    epochs = 60

    def test_the_calibration_loss_is_the_plain_one_and_leaves_the_mapping_alone(self, checkerboard):
        model = self.build(checkerboard).model.double()
        for values in model.calibration.parameters():
            torch.nn.init.normal_(values)
        users = model.shared[:4]
        rows = torch.isin(model.ratings.users, users)
        who, items, actual = (
            column[rows] for column in (model.ratings.users, model.ratings.items, model.ratings.ratings)
        )
        mapped = model.source_vectors(users) @ model.mapping.weight.T
        vectors = (mapped * model.calibration.factor + model.calibration.constant)[
            torch.searchsorted(users, who)
        ]
        bias = model.target.mean + model.target.item_bias[items] + model.calibration.item_offset[items]
        v = torch.cat([model.target.items[items], torch.ones(len(items), 1)], 1)
        error = (vectors * v).sum(1) + bias - actual
        held = (
            3.0
            * model.calibration.item_offset.square().sum()
            / torch.isin(model.ratings.users, model.shared).sum()
        )
        loss = model.calibration_loss(users)
        assert torch.allclose(loss, 0.5 * error.square().mean() + 0.5 * error.abs().mean() + held)
        loss.backward()
        assert model.mapping.weight.grad is None
        scores = model.eval().full_sort_predict({model.USER_ID: model.is_cold.nonzero().flatten()[1:3]})
        plain = model.calibration(model.transfer(model.is_cold.nonzero().flatten()[1:3]))
        assert torch.allclose(scores, plain @ model.target.item_vectors().T + model.item_side()[1])


def test_a_shift_without_calibration_is_refused():
    from recbole_diffusion.model.cross_domain.options import EMCDROptions

    blocks = {"source_domain": {"dataset": "a"}, "target_domain": {"dataset": "b"}}
    with pytest.raises(UsageError, match="give task_absolute too"):
        options_of(EMCDROptions, "EMCDR", **blocks, item_offset_reg_weight=3.0)


def test_the_calibrated_offsets_of_items_are_in_the_scores(two_domains):
    built = TestCalibrated().build(two_domains, item_offset_reg_weight=16.0)
    model = built.model.eval()
    users = {model.USER_ID: built.dataset.test_users[:3]}
    before = model.full_sort_predict(users).view(3, -1)
    offsets = torch.linspace(-1, 1, model.n_items)
    with torch.no_grad():
        model.calibration.item_offset.copy_(offsets)
    after = model.train().eval().full_sort_predict(users).view(3, -1)
    assert torch.allclose(after - before, offsets.expand(3, -1), atol=1e-5)


class TestLACDR(ColdUserContract):
    model = "LACDR"
    options = {**FAST, "learning_rate": 0.01, "train_batch_size": 16, "code_size": 3}

    def test_the_loss_is_the_sum_of_its_parts_in_float64(self, checkerboard, monkeypatch):
        model = self.build(checkerboard, align_weight=0.3, rebuild_weight=0.7).model.double().train()
        users = model.shared[:6]
        drawn = {"source": model.source_users[3:5], "target": model.target_users[1:3]}
        monkeypatch.setattr(
            model, "others", lambda name, count: getattr(model, name).user_vectors(drawn[name]).detach()
        )
        s, t = model.source.user_vectors(model.source_of[users]), model.target.user_vectors(users)

        def through(network, x):
            return (
                torch.tanh(x @ network[0].weight.T + network[0].bias) @ network[2].weight.T + network[2].bias
            )

        codes = {
            "source": through(model.encoders["source"], s),
            "target": through(model.encoders["target"], t),
        }
        expected = (through(model.decoders["target"], codes["source"]) - t).pow(2).mean()
        expected = expected + 0.3 * (codes["source"] - codes["target"]).pow(2).mean()
        for name, own in (("source", s), ("target", t)):
            known = torch.cat([own, getattr(model, name).user_vectors(drawn[name])])
            rebuilt = through(model.decoders[name], through(model.encoders[name], known))
            expected = expected + 0.7 * (rebuilt - known).pow(2).mean()
        assert torch.allclose(model.alignment_loss(users), expected, rtol=1e-10)

    def test_rebuilt_users_are_those_with_ratings(self, checkerboard):
        model = self.build(checkerboard).model
        assert set(model.target_users.tolist()) == set(model.ratings.users.tolist())
        assert set(model.source_users.tolist()) == set(range(1, 61))

    def test_weight_decay_is_for_the_mapping_alone_since_factors_are_shared(self, checkerboard, tmp_path):
        _, trainer, _ = self.trained(checkerboard, tmp_path / "runs", epochs=1, weight_decay=0.1)
        found = []
        for number in range(3):
            trainer._set(number, 0)
            found.append(trainer.step_optimizers[0].param_groups[0]["weight_decay"])
        assert found == [0.0, 0.0, 0.1]


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

    def test_ratings_on_another_device_are_no_state_of_a_checkpoint(self, checkerboard):
        model = self.build(checkerboard).model
        state = PlainState(model)
        assert model.to("meta").joint_loss(torch.arange(4, device="meta")).device.type == "meta"
        assert model.joint.users.device.type == "meta"
        assert not state.values()

    @pytest.mark.parametrize("bias", [True, False])
    def test_the_loss_weighs_source_ratings_in_float64(self, checkerboard, bias):
        free = {"bias": bias, "mf_reg_weight": 0.0, "mf_bias_reg_weight": 0.0}
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
        free = {"mf_reg_weight": 0.0, "mf_bias_reg_weight": 0.0}
        both = [self.build(checkerboard, task_absolute=share, **free).model for share in (0.0, 0.25, 1.0)]
        squared, mixed, absolute = (model.joint_loss(torch.arange(40)) for model in both)
        assert torch.allclose(mixed, 0.75 * squared + 0.25 * absolute)
        assert not torch.allclose(squared, absolute)

    def test_a_cold_user_learns_from_source_ratings(self, checkerboard, tmp_path):
        before = self.build(checkerboard).model.factors.users.detach().clone()
        built, _, _ = self.trained(checkerboard, tmp_path / "runs", epochs=1)
        cold = torch.unique(built.test._dataset.inter_feat[built.model.USER_ID])
        assert not torch.isclose(built.model.factors.users[cold], before[cold]).all(1).any()


class TestTGT(ColdUserContract):
    model = "TGT"
    options = FAST
    transfers = False

    def test_the_factors_are_those_of_the_mapping_models(self, checkerboard):
        of_mapping = TestTGT.build(
            type("LACDR", (TestTGT,), {"model": "LACDR"})(), checkerboard
        ).model.stages()
        own = self.build(checkerboard).model.stages()[0]
        assert own.key == of_mapping[1].key
        assert torch.equal(own.module.users, of_mapping[1].module.users)

    def test_cold_users_have_the_untrained_vector_or_the_mean(self, checkerboard, tmp_path):
        start = self.build(checkerboard).model.target.user_vectors().detach()
        built, _, result = self.trained(checkerboard, tmp_path / "one")
        cold = torch.unique(built.test._dataset.inter_feat[built.model.USER_ID])
        assert torch.equal(built.model.vectors_of(cold), start[cold])
        mean, _, _ = self.trained(checkerboard, tmp_path / "two", cold_vector="mean")
        users = torch.unique(mean.model.ratings.users)
        expected = mean.model.target.user_vectors(users).mean(0)
        assert torch.allclose(mean.model.vectors_of(cold), expected.expand(len(cold), -1), atol=1e-6)
        assert (
            result["rated_mae"] > 1.3
        )  # nothing is known of a cold user: about 2, where a known one has below 1
