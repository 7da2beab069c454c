"""The ordinal read-out and DiffCDR's level factors, against hand computations and plain forms."""

import math
import random

import pytest
import torch

from recbole_diffusion.config import Config
from recbole_diffusion.data.cross_domain import Ratings
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.cross_domain.diffcdr_levels import USER_PENALTY, LevelFactors
from recbole_diffusion.model.cross_domain.matrix_factorization import derived_seed
from recbole_diffusion.model.cross_domain.readout import (
    OrdinalReadout,
    group_means,
    left_out,
    levels_of,
    median_and_mean,
    source_style,
    standardised_style,
)
from recbole_diffusion.model.cross_domain.source_history import SourceRatings
from recbole_diffusion.quick_start import run
from recbole_diffusion.testing import FAST
from recbole_diffusion.testing.built import StagedBuilt
from recbole_diffusion.testing.histories import histories_of
from recbole_diffusion.testing.two_domains import make_two_domains, write_ratings

STARS = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
LEVELS = {**FAST, "readout": "ordinal", "levels": True, "hidden_size": 16, "evaluations": 3}


def test_level_probabilities_are_those_of_the_cumulative_logit_by_hand():
    readout = OrdinalReadout(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]))
    # Thresholds 1.5 and 3 at first; user 1: bias 0.5 * 1 - 0.1 * 2, spread exp(0.2 * 2 + 0.1 * 3).
    readout.b, readout.a = torch.tensor([0.5, -0.1]).double(), torch.tensor([0.2, 0.1]).double()
    readout.slope, readout.width = torch.tensor([2.0]).double(), torch.tensor([0.0]).double()
    found = readout.probabilities(torch.tensor([1]), torch.tensor([1.2]))[0].tolist()
    middle, width = 2 * 1.2 + 0.3, math.exp(0.7)
    one, two = (1 / (1 + math.exp(-(threshold - middle) / width)) for threshold in (1.5, 3.0))
    assert found == pytest.approx([one, two - one, 1 - two], rel=1e-6)


def test_the_median_is_where_half_is_reached_and_the_mean_weighs_all_levels():
    chances = torch.tensor([[0.5, 0.1, 0.1, 0.1, 0.2], [0.1, 0.1, 0.2, 0.2, 0.4], [0.0, 0.0, 0.0, 0.0, 1.0]])
    median, mean = median_and_mean(chances, STARS)
    assert median.tolist() == [1, 4, 5]
    assert mean.tolist() == pytest.approx([2.4, 3.7, 5.0])


def test_a_left_out_rating_gives_the_mean_of_the_others():
    # Shrunken means are least squares: item 0 has 5, 3, 4 and two ratings of 2 as its prior.
    items, ratings = torch.tensor([0, 0, 0]), torch.tensor([5.0, 3.0, 4.0])
    mean = group_means(items, ratings, 1, 2.0, 2.0)[items]
    found = left_out(ratings.double(), mean, torch.full((3,), 1 / 5))
    assert found.tolist() == pytest.approx([(3 + 4 + 4) / 4, (5 + 4 + 4) / 4, (5 + 3 + 4) / 4])


def test_a_fit_finds_a_shifted_scale_and_who_spreads():
    torch.manual_seed(3)
    users = torch.arange(2).repeat_interleave(1500)
    style = torch.tensor([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    truth = 1 + 4 * torch.rand(3000)
    ratings = (truth + torch.randn(3000) * torch.where(users == 1, 1.0, 0.2)).round().clamp(1, 5)
    readout = OrdinalReadout(STARS, style)
    readout.fit(users, truth - 1, ratings, torch.zeros(3000))  # predictions one star too low
    median, mean = median_and_mean(readout.probabilities(users, truth - 1), STARS)
    assert (median - ratings).abs().mean() < (truth.round() - ratings).abs().mean() + 0.01
    assert (mean - ratings).mean().abs() < 0.05
    widths = [readout.probabilities(torch.tensor([user]), torch.tensor([2.0])).max() for user in (0, 1)]
    assert widths[0] > 2 * widths[1] - 0.2  # the first is far surer


def test_style_is_by_hand_and_zero_without_source_ratings():
    rows = Ratings(torch.tensor([1, 1, 2]), torch.tensor([1, 2, 2]), torch.tensor([5.0, 1.0, 3.0]))
    style = source_style(rows, 3, 3)
    means = [3.0, (5 + 2 * 3) / 3, (1 + 3 + 2 * 3) / 4]
    gaps = [5 - means[1], 1 - means[2], 3 - means[2]]
    assert style[1, 0].item() == pytest.approx((gaps[0] + gaps[1]) / 4)
    assert style[2, 2].item() == pytest.approx(math.log(2))
    found = standardised_style(style, torch.tensor([0, 1, 0, 2]), torch.tensor([1, 3]))
    assert found[0].tolist() == found[2].tolist() == [0, 0, 0]
    assert found[1].tolist() == pytest.approx([-one for one in found[3].tolist()])


def test_ratings_of_many_values_and_negatives_are_refused():
    with pytest.raises(UsageError, match="leave readout at raw"):
        levels_of(torch.linspace(1, 5, 50))
    with pytest.raises(UsageError, match="leave one of them out"):
        Config("GlobalMean", "ml-100k", overrides={"readout": "ordinal", "negatives_per_rating": 2})


def test_level_factors_of_users_are_the_best_ones_whoever_is_asked_beside():
    torch.manual_seed(0)
    rows = Ratings(torch.randint(1, 6, (80,)), torch.randint(1, 9, (80,)), torch.randint(1, 6, (80,)).float())
    factors = LevelFactors(6, 9, STARS)
    factors.fit(rows, 1.0, told=torch.rand(6, 2))
    own = factors.users.double().requires_grad_()
    assert factors.told[1:].abs().min() > 0
    logits = (factors.items.double()[rows.items] + factors.told.double()[rows.users]) + own[rows.users]
    loss = torch.nn.functional.cross_entropy(logits, rows.ratings.long() - 1, reduction="sum")
    (loss + USER_PENALTY / 2 * own.square().sum()).backward()
    assert own.grad.abs().max() < 1e-4
    assert factors.users[0].tolist() == [0] * 5  # no rating
    of_three = rows.users == 3
    zeros = torch.zeros(int(of_three.sum()), dtype=torch.long)
    alone = factors.of_histories(rows.items[of_three], zeros, rows.ratings[of_three], 1, factors.told[3:4])
    assert torch.allclose(alone[0], factors.users[3], atol=1e-6)


@pytest.mark.parametrize("many", [3, 30, 300])
def test_a_user_of_many_ratings_of_a_rare_level_is_fitted_too(many):
    factors = LevelFactors(2, 2, STARS)
    factors.items.copy_(torch.tensor([0.001, 0.009, 0.1, 0.39, 0.5]).log())
    items, rows = torch.ones(many, dtype=torch.long), torch.zeros(many, dtype=torch.long)
    found = factors.of_histories(items, rows, torch.ones(many), 1)[0].double()
    # At the minimum the penalty's slope is that of the likelihood.
    left = many * (torch.eye(5)[0] - (factors.items[1] + found).softmax(0))
    assert torch.allclose(USER_PENALTY * found, left.double(), atol=1e-4)
    assert found[0] > 0.9


def test_a_rating_between_two_levels_counts_as_the_nearest():
    factors = LevelFactors(2, 2, torch.tensor([1.0, 3.0, 5.0]))
    assert factors.places(torch.tensor([0.0, 1.9, 2.1, 3.9, 4.5])).tolist() == [0, 0, 1, 1, 2]


def test_source_ratings_are_gathered_by_user():
    rows = Ratings(torch.tensor([2, 1, 2]), torch.tensor([5, 6, 7]), torch.tensor([1.0, 2.0, 3.0]))
    items, places, ratings = SourceRatings(rows, 4).of(torch.tensor([2, 3, 1]))
    assert (items.tolist(), places.tolist(), ratings.tolist()) == ([5, 7, 6], [0, 0, 2], [1, 3, 2])


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    data = make_two_domains(tmp_path_factory.mktemp("readout"))
    data.overrides["stage_cache"] = str(tmp_path_factory.getbasetemp() / "stages")
    return data


def built(data, model="DiffCDR", **options):
    """A model whose random factors and alignment differ between users, ready to be evaluated."""
    one = StagedBuilt(model, data.name, {**data.overrides, **options}).model
    for stage in one.stages():
        if stage.begin:
            stage.begin()
    return one.eval()


def test_level_share_mixes_the_read_out_with_the_mean_over_samples(domains):
    model = built(domains, **LEVELS, level_share=0.25, samples=3, start="mean", guidance=1.0)
    users, items = model.shared[[0, 0, 4]], torch.tensor([3, 8, 5])
    scores = torch.tensor([2.0, 3.0, 4.0])
    model._readouts[False] = model._fitted_readout(warm=False)
    model.ema_alignment.copy.levels.matrix.weight.data.copy_(torch.rand(2, 2))
    expected = 0.75 * model._readouts[False].probabilities(users, scores)
    generator = torch.Generator().manual_seed(derived_seed(model.seed, "samples"))
    with torch.no_grad():
        for draw in torch.randn(3, model.diffused_width, generator=generator):
            made = model._solved(model.source_states(users), None, None, draw.expand(3, -1))
            of_user = made[:, model.width :]
            logits = model.target_levels.items[items] + model.target_levels.told[users]
            logits = logits + of_user @ model.ema_alignment.copy.levels.matrix.weight.T
            expected += 0.25 / 3 * logits.double().softmax(1)
    found = model.level_probabilities(users, items, scores)
    assert torch.allclose(found, expected, atol=1e-6)
    assert found.sum(1).tolist() == pytest.approx([1, 1, 1])


def test_the_unconditional_branch_learns_from_all_target_users(domains):
    model = built(domains, **LEVELS, unconditional_users="all", condition_dropout=0.0)
    asked, given = [], []
    states, denoiser = model.target_states, model.denoiser.forward
    model.target_states = lambda users: asked.append(users) or states(users)
    model.denoiser.forward = lambda x, t, c: given.append(c) or denoiser(x, t, c)
    users = model.shared[:20]
    model.noise_loss(users)
    assert len(asked[0]) == 40
    assert set(asked[0][20:].tolist()) - set(model.shared.tolist())  # of the target alone
    assert given[0][20:].abs().sum() == 0
    assert (given[0][:20].abs().sum(1) > 0).all()


def test_attention_trains_with_the_denoiser_and_serves_new_users(domains):
    model = built(domains, **LEVELS, condition="profile_history", guidance=1.0)
    torch.manual_seed(1)
    for name, value in model.ema_denoiser.named_parameters():
        if "attention" in name:
            value.data += 0.3 * torch.randn_like(value)
    model.noise_loss(model.shared[:9]).backward()
    assert all(one.grad.abs().sum() > 0 for one in model.denoiser.attention.parameters())
    cold = torch.nonzero(model.is_cold & (model.source_of > 0)).flatten()[[0, 3, 5]]
    source = model.source_ratings
    histories = histories_of(source.users, source.items, source.ratings, model.source_of[cold].tolist())
    with torch.no_grad():
        found = model.transfer_new(model.source_vectors(cold), histories, 0)
        assert torch.allclose(found, model.transfer(cold), atol=1e-5)
        assert (found[0] - found[1]).abs().sum() > 0


def test_an_epoch_trains_level_alignment_and_resumes_to_the_same_probabilities(domains, tmp_path):
    given = {**domains.overrides, **LEVELS, "warm_start_share": 0.0, "mf_epochs": 2, "eval_step": 1}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    one = run("DiffCDR", domains.name, overrides={**given, "epochs": 3, "run_dir": str(whole)})
    run("DiffCDR", domains.name, overrides={**given, "epochs": 1, "run_dir": str(parts)})
    two = run(resume=parts, overrides={"epochs": 3})
    names = ("rated_mae", "rated_rmse", "rated_raw_mae", "rated_raw_rmse", "ndcg@5")
    assert {name: one["test"][name] for name in names} == {name: two["test"][name] for name in names}
    assert one["test"]["rated_mae"] != one["test"]["rated_raw_mae"]


def test_levels_need_the_read_out(domains):
    with pytest.raises(UsageError, match="give --readout=ordinal"):
        built(domains, **{**LEVELS, "readout": "raw"})


def test_cmf_reads_out_training_users_by_their_source_ratings_alone(domains):
    model = built(domains, "CMF", **FAST, readout="ordinal")
    users = model.shared[:4]
    before, seen = model.as_cold(users), model.transfer(users)
    with torch.no_grad():
        model.factors.users[users] += 1.0
    assert torch.equal(model.as_cold(users), before)
    assert not torch.allclose(before, seen)


def test_after_a_warm_start_ratings_are_read_out_as_of_warm_started_users(tmp_path):
    # Users differ in their bias alone, which the source tells and two ratings of the target tell again.
    draw = random.Random(1)
    users = {f"u{user}": draw.gauss(0, 0.8) for user in range(120)}
    for name in ("books", "films"):
        quality = [draw.gauss(0, 0.4) for _ in range(24)]
        rows = [
            (user, f"i{item}", min(5, max(1, round(3.3 + bias + quality[item] + draw.gauss(0, 0.5)))))
            for user, bias in users.items()
            for item in draw.sample(range(24), 10)
        ]
        write_ratings(tmp_path, name, rows)
    options = {
        **FAST,
        "data_path": str(tmp_path),
        "source_domain": {"dataset": "books"},
        "target_domain": {"dataset": "films"},
        "rating_scale": [1, 5],
        "readout": "ordinal",
        "mf_epochs": 60,
        "mf_learning_rate": 0.02,
        "learning_rate": 0.01,
        "epochs": 20,
        "seed": 1,
        "topk": [5],
    }
    result = run("EMCDR", "pair", overrides={**options, "run_dir": str(tmp_path / "run")})
    cold, warm = result["test_cold"], result["test_warm"]
    assert warm["rated_raw_rmse"] < 0.9 * cold["rated_raw_rmse"]  # the warm start tells something new
    assert warm["rated_rmse"] < 1.05 * cold["rated_rmse"]  # 1.09 by the read-out of cold users
