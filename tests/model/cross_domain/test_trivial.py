"""Rows without transfer: means, item mean plus source offset, and the line through the source bias."""

import pytest
import torch

from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run
from recbole_diffusion.report.comparison import compare
from recbole_diffusion.report.runs import read_run
from recbole_diffusion.testing import FAST, Built
from recbole_diffusion.testing.two_domains import read_ratings, write_ratings


def test_everything_is_the_mean_of_the_training_ratings(two_domains):
    model = Built("GlobalMean", two_domains.name, two_domains.overrides).model
    scores = model.full_sort_predict({model.USER_ID: torch.tensor([1, 2, 30])})
    assert torch.allclose(scores, model.ratings.ratings.mean().expand_as(scores))


@pytest.mark.parametrize("shrinkage", [0.0, 5.0])
def test_a_rating_is_the_items_mean_pulled_to_the_global_one(two_domains, shrinkage):
    model = Built("ItemMean", two_domains.name, {**two_domains.overrides, "item_shrinkage": shrinkage}).model
    scores = model.full_sort_predict({model.USER_ID: torch.tensor([1, 2])})
    rows, mean = model.ratings, model.ratings.ratings.mean()
    for item in (1, 7):
        own = rows.ratings[rows.items == item]
        expected = (own.sum() + shrinkage * mean) / (len(own) + shrinkage)
        assert torch.allclose(scores[:, item], expected.expand(2), atol=1e-5)
    assert torch.allclose(scores[:, 0], mean.expand(2))  # the padding item has no rating


def test_a_cold_user_keeps_the_offset_of_the_source(two_domains):
    model = Built("SourceOffset", two_domains.name, two_domains.overrides).model
    user = model.is_cold.nonzero().flatten()[1]
    there = model.source_of[user]
    rows, gaps = model.source_ratings, []
    for item, rating in zip(rows.items[rows.users == there], rows.ratings[rows.users == there], strict=True):
        gaps.append(rating - rows.ratings[rows.items == item].mean())
    scores = model.full_sort_predict({model.USER_ID: user[None]})[0]
    own = model.ratings.ratings[model.ratings.items == 3].mean()
    assert torch.allclose(scores[3], own + torch.stack(gaps).mean(), atol=1e-5)


def test_a_user_whom_the_source_does_not_know_has_no_offset(two_domains):
    model = Built("SourceOffset", two_domains.name, two_domains.overrides).model
    unknown = (model.source_of == 0).nonzero().flatten()[1:]
    assert len(unknown) == 10
    assert torch.equal(model.known(unknown), torch.zeros(10, 1))


def test_ratings_and_loss_equal_the_plain_form_in_float64(two_domains):
    options = {**two_domains.overrides, "task_absolute": 0.25, "item_offset_reg_weight": 3.0}
    model = Built("SourceRegression", two_domains.name, options).model.double()
    for values in (model.source.user_bias, model.target.item_bias, model.line, model.item_offset):
        torch.nn.init.normal_(values)
    model.begin_transfer()
    users = model.shared[:5]
    biases = model.source.user_bias[model.source_of]
    mean, deviation = biases[model.shared].mean(), biases[model.shared].std(correction=0)
    chosen = torch.isin(model.ratings.users, users)
    who, items, actual = (
        column[chosen] for column in (model.ratings.users, model.ratings.items, model.ratings.ratings)
    )
    offsets = model.target.mean + model.target.item_bias + model.item_offset
    predicted = offsets[items] + model.line[0] + model.line[1] * (biases[who] - mean) / deviation
    scores = model.eval().cold_vectors(users) @ model.item_side()[0].T + model.item_side()[1]
    assert torch.allclose(scores[torch.searchsorted(users, who), items], predicted)
    error, n = predicted - actual, torch.isin(model.ratings.users, model.shared).sum()
    expected = (
        0.75 * error.square().mean() + 0.25 * error.abs().mean() + 3.0 * model.item_offset.square().sum() / n
    )
    assert torch.allclose(model.task_loss(users), expected)


def test_the_profile_adds_its_slopes_and_their_penalty(two_domains):
    options = {
        **two_domains.overrides,
        "profile": True,
        "profile_reg_weight": 5.0,
        "item_offset_reg_weight": None,
    }
    model = Built("SourceRegression", two_domains.name, options).model.double()
    for values in (model.source.item_bias, model.line, model.slopes):
        torch.nn.init.normal_(values)
    model.begin_transfer()
    users, slopes = model.shared[:5], model.slopes.detach().clone()
    with_it, loss = model.transfer(users)[:, -1], model.task_loss(users)
    plain = loss - 5.0 * slopes.square().sum() / torch.isin(model.ratings.users, model.shared).sum()
    model.eval()  # profiles are computed again, by what begin_transfer has learned
    assert torch.allclose(model.transfer(users)[:, -1], with_it)
    assert torch.allclose(plain, model.task_loss_of(users, model.transfer(users), None))
    torch.nn.init.zeros_(model.slopes)
    assert torch.allclose(with_it - model.transfer(users)[:, -1], model.profiles_of(users) @ slopes)
    assert model.profiles_of(users).std(0).gt(0).any()


def test_generous_users_of_the_source_are_generous_in_the_target(two_domains, tmp_path):
    for name, kinds in (("books", range(60)), ("films", range(10, 70))):
        rows = [
            (f"u{user}", f"i{item}", 2 + item % 2 + 2 * (user % 2))
            for user in kinds
            for item in range(user % 5, 30, 2)
        ]
        write_ratings(two_domains.data_path, name, rows)
    options = {
        **two_domains.overrides,
        **FAST,
        "epochs": 25,
        "learning_rate": 0.05,
        "train_batch_size": 16,
        "run_dir": str(tmp_path / "run"),
    }
    result = run("SourceRegression", two_domains.name, overrides=options)
    assert result["test"]["rated_mae"] < 0.5  # 1 without knowing the user


def test_without_biases_there_is_nothing_to_regress_on(two_domains):
    with pytest.raises(UsageError, match="leave bias at True"):
        run("SourceRegression", two_domains.name, overrides={**two_domains.overrides, "bias": False})


def test_a_result_has_the_batches_of_the_last_stage(two_domains, tmp_path):
    options = {**two_domains.overrides, **FAST, "epochs": 1, "mf_epochs": 1, "train_batch_size": 30}
    result = run("SourceRegression", overrides={**options, "run_dir": str(tmp_path / "run")})
    users = result["diagnostics"]["domains"]["train_users"]
    assert 30 < users <= 60 and result["batches_per_epoch"] == 2  # of users, not of their ratings


def test_weights_of_other_cold_users_are_told_to_have_seen_those_of_today(two_domains, tmp_path, caplog):
    options = {**two_domains.overrides, **FAST, "epochs": 1, "mf_epochs": 1}
    run("EMCDR", overrides={**options, "run_dir": str(tmp_path / "first")})
    again = {**options, "load_checkpoint": str(tmp_path / "first" / "best.pt")}
    told = "the cold users of today may be among what it was trained on"
    run("EMCDR", overrides={**again, "run_dir": str(tmp_path / "same")})
    assert told not in caplog.text
    other = run("EMCDR", overrides={**again, "cold_seed": 5, "run_dir": str(tmp_path / "other")})
    assert told in caplog.text
    assert other["origin"]["seen_rows"] is None  # not known, which is not the same as none


def test_runs_on_another_source_are_told_beside_equal_parts(two_domains, tmp_path):
    runs = [tmp_path / name for name in ("before", "same", "after")]
    for model, folder in zip(("ItemMean", "GlobalMean", "SourceOffset"), runs, strict=True):
        if folder.name == "after":
            rows = read_ratings(two_domains.data_path, "books")
            write_ratings(two_domains.data_path, "books", [(*row[:2], "3") for row in rows])
        run(model, overrides={**two_domains.overrides, "run_dir": str(folder)})
    found = [read_run(folder) for folder in runs]
    assert not [note for note in compare(found[:2]).notes if "source" in note]
    assert "the source domain has other ratings in before and in after." in " ".join(compare(found).notes)
