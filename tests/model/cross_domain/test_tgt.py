"""TGT: the target factors alone."""

import torch

from recbole_diffusion.testing import FAST, ColdUserContract


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
