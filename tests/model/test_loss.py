"""Losses against plain forms; options without effect are named."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small import OPTIONS, with_features

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.model import loss
from recbole_diffusion.model.layers import bag_sums
from recbole_diffusion.options.declare import option, unread, unread_text
from recbole_diffusion.options.general import OF_EPOCHS, OF_STEPS
from recbole_diffusion.testing import Built, make_checkerboard
from recbole_diffusion.tuning.space_check import check_combinations
from recbole_diffusion.tuning.space_yaml import parse_space


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**31 - 1))
def test_full_catalogue_squared_error_equals_the_plain_sum(batch, n_items, width, seed):
    generator = torch.Generator().manual_seed(seed)
    x0 = (torch.rand(batch, n_items, generator=generator) < 0.4).double()
    vectors = torch.randn(batch, width, generator=generator, dtype=torch.float64).requires_grad_()
    items = torch.randn(n_items, width, generator=generator, dtype=torch.float64).requires_grad_()
    plain = (x0 - vectors @ items.T).square().sum(1)
    found = loss.full_catalogue_squared_error(vectors, items, x0 @ items, x0.sum(1))
    assert torch.allclose(found, plain, rtol=1e-10, atol=1e-10)
    for mine, theirs in zip(
        torch.autograd.grad(found.sum(), (vectors, items)),
        torch.autograd.grad(plain.sum(), (vectors, items)),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, rtol=1e-9, atol=1e-9)


def test_losses_by_hand():
    positive, negative = torch.tensor([0.0, math.log(3)]), torch.tensor([0.0, 0.0])
    # the sigmoids are one half and three quarters
    assert loss.bpr(positive, negative).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    assert loss.binary_cross_entropy(positive, negative).item() == pytest.approx(
        math.log(2) + math.log(4 / 3) + 2 * math.log(2)
    )
    assert loss.negative_log_likelihood(positive).item() == pytest.approx(math.log(2) + math.log(4 / 3))
    assert math.isfinite(loss.bpr(torch.tensor([-500.0]), torch.tensor([500.0])).item())


def test_margins_weigh_hard_negatives_up_or_down_with_a_mean_of_one():
    margins = torch.tensor([0.0, 1.0, 2.0, -0.5])  # mean 0.75 with the last one at 0
    up = torch.tensor([1.0, 1 + 1 / 0.75, 1 + 2 / 0.75, 1.0])
    torch.testing.assert_close(loss.margin_weights(margins, 1.0), up / up.mean())
    torch.testing.assert_close(loss.margin_weights(margins, -1.0), (1 / up) / (1 / up).mean())
    torch.testing.assert_close(loss.margin_weights(torch.zeros(3), 2.0), torch.ones(3))
    one_of_many = torch.arange(100_000).eq(7).float()  # (1 + 100,000)^8 is beyond single precision
    assert loss.margin_weights(one_of_many, 8.0)[7].item() == pytest.approx(100_000)


@pytest.mark.parametrize("ratio", [0, 10**9])  # always gathered, always multiplied
@pytest.mark.parametrize("weighted", [False, True])
def test_sum_by_row_equals_the_plain_product_both_ways(ratio, weighted, monkeypatch):
    monkeypatch.setattr(loss, "DENSE_RATIO", ratio)
    table = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    items, starts = (
        torch.tensor([1, 4, 4, 2, 5]),
        torch.tensor([0, 3, 3]),
    )  # the second bag is empty, item 4 is twice in the first
    weights = torch.randn(5, dtype=torch.float64) if weighted else None
    bags = torch.zeros(3, 6, dtype=torch.float64)
    bags.index_put_(
        (torch.tensor([0, 0, 0, 2, 2]), items),
        torch.ones(5).double() if weights is None else weights,
        accumulate=True,
    )
    found = loss.sum_by_row(table, items, starts, weights)
    assert torch.allclose(found, bags @ table)
    (gradient,) = torch.autograd.grad(found.square().sum(), table)
    (plain,) = torch.autograd.grad((bags @ table).square().sum(), table)
    assert torch.allclose(gradient, plain)


@pytest.mark.parametrize("kind", ["blocks of dense rows", "sparse"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_many_bags_equal_the_plain_product_both_ways(kind, weighted, monkeypatch):
    small = {"DENSE_CELLS": 60} if kind != "sparse" else {"DENSE_RATIO": 0, "MANY_ENTRIES": 1}
    for name, value in small.items():
        monkeypatch.setattr(loss, name, value)
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(9, 3, dtype=torch.float64, generator=generator).requires_grad_()
    counts = torch.randint(0, 9, (31,), generator=generator)  # some bags are empty
    items = torch.randint(0, 9, (int(counts.sum()),), generator=generator)
    rows = torch.arange(31).repeat_interleave(counts)
    weights = torch.rand(len(items), dtype=torch.float64, generator=generator) if weighted else None
    ones = torch.ones(len(items), dtype=torch.float64)
    values = ones if weights is None else weights
    bags = torch.zeros(31, 9, dtype=torch.float64).index_put_((rows, items), values, accumulate=True)
    found = loss.sum_by_row(table, items, counts.cumsum(0) - counts, weights)
    torch.testing.assert_close(found, bags @ table)
    (gradient,) = torch.autograd.grad(found.square().sum(), table)
    (plain,) = torch.autograd.grad((bags @ table).square().sum(), table)
    torch.testing.assert_close(gradient, plain)


def test_sum_by_row_of_nothing_is_zero_and_has_a_gradient():
    table = torch.randn(6, 3, requires_grad=True)
    found = loss.sum_by_row(table, torch.empty(0, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    assert found.tolist() == [[0.0] * 3] * 2
    assert torch.autograd.grad(found.sum(), table)[0].abs().sum() == 0


def test_dropout_keeps_the_share_and_the_mean():
    torch.manual_seed(0)
    values = torch.full((400, 500), 3.0)
    dropped = loss.dropout(values, 0.2)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.2, abs=0.005)
    assert float(dropped.mean()) == pytest.approx(3.0, rel=0.01)
    assert torch.equal(loss.dropout(values, 0.0), values)


def test_dense_sums_write_into_earlier_memory_and_stay_right():
    torch.manual_seed(0)
    table = torch.randn(30, 4, dtype=torch.float64, requires_grad=True)
    for rows in (12, 7, 12):  # a smaller batch takes the larger one's memory
        items = torch.randint(0, 30, (rows * 5,))
        of = torch.arange(rows).repeat_interleave(5)
        weights = torch.rand(rows * 5, dtype=torch.float64)
        plain = torch.zeros(rows, 30, dtype=torch.float64).index_put((of, items), weights, accumulate=True)
        first, second = bag_sums(table, of, items, rows, weights), bag_sums(table, of, items, rows)
        torch.testing.assert_close(first, plain @ table)
        (first.sum() + 2 * second.sum()).backward()
        counts = torch.bincount(items, minlength=30).double()
        torch.testing.assert_close(table.grad, (plain.sum(0) + 2 * counts)[:, None].expand(30, 4))
        table.grad = None


def test_dense_sums_are_differentiated_once():
    table = torch.randn(6, 2, requires_grad=True)
    sums = bag_sums(table, torch.zeros(3, dtype=torch.long), torch.arange(3), 1)
    sums.sum().backward(retain_graph=True)
    with pytest.raises(AttributeError):
        sums.sum().backward()


RATED = {"steps": 8, "train_batch_size": 64, "critic_size": 8}
SMALL = {"embedding_size": 8, "steps": 8, "train_batch_size": 64}
MULTIMODAL = {**OPTIONS, **SMALL, "edge_dropout": 0.2}
# A configuration that leaves something unread, by model.
CASES = [
    ("CCDRec", {**MULTIMODAL, "aligning": False, "negative_sampler": "dns"}),
    ("CCDRec", {**MULTIMODAL, "aligning": False, "negative_sampler": "uniform", "backbone": "LATTICE"}),
    ("CCDRec", {**MULTIMODAL, "curriculum": False, "fusion": "output", "estimator": "attention"}),
    ("CCDRec", {**MULTIMODAL, "negative_sampler": "realhns", "noise_schedule": "cosine"}),
    ("CCDRec", {**MULTIMODAL, "negative_sampler": "mixgcf", "backbone": "MCDRec"}),
    ("CCDRec", {**MULTIMODAL, "negative_sampler": "uniform", "backbone": "BM3"}),
    ("CCDRec", {**MULTIMODAL, "aligning": False, "negative_sampler": "uniform", "modal_weight": 0.0}),
    ("LATTICE", OPTIONS),
    ("FREEDOM", {**OPTIONS, "modal_weight": 0.0}),
    ("MCDRec", {**MULTIMODAL, "train_batch_size": 64}),
    ("MCDRec", {**MULTIMODAL, "backbone": "BM3", "noise_schedule": "cosine"}),
    ("SLMRec", {"modalities": OPTIONS["modalities"], "ssl_task": "none"}),
    ("SLMRec", {"modalities": OPTIONS["modalities"], "ssl_task": "fm"}),
    ("TVDiff", {**SMALL, "denoiser": "mlp", "entropy_loss": "nll"}),
    ("TVDiff", {**SMALL, "negative_sampler": "uniform", "entropy_loss": "none"}),
    ("CNSDiff", {**SMALL, "start": 2, "backbone": "mf", "causal": "none", "mixing": "none"}),
    ("CNSDiff", {**SMALL, "start": 2, "causal": "kl", "alignment_weight": 0.0}),
    ("CNSDiff", {**SMALL, "start": 2, "negative_sampler": "dns"}),
    ("CNSDiff", {**SMALL, "start": 2, "negative_sampler": "ahns", "noise_schedule": "cosine"}),
    ("DGRM", {**RATED, "lipschitz": "clip"}),
    ("DGRM", {**RATED, "objective": "kl"}),
    ("DGRM", {**RATED, "objective": "none"}),
]
# Other values, where the nearest one by type is not allowed.
OTHERS = {
    "modality_weights": [0.25, 0.75],
    "mix_initial": [3, 4],
    "mix_final": [4, 4],
    "sampling_size": 20,
    "noise_min": 0.02,
    "noise_max": 0.06,
    "noise_scale": 0.9,
    "ahns_p": -3.0,
    "ahns_alpha": 2.0,
    "steps": 9,
    "curriculum_end": 31,
    "causal": "kl",
    "objective": "kl",
    "linear_k": 3,
}


def another(field: dataclasses.Field, value):
    """Return another value that an option allows."""
    if field.name in OTHERS and OTHERS[field.name] != value:
        return OTHERS[field.name]
    if choices := field.metadata["choices"]:
        return next(one for one in choices if one != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    high = field.metadata["high"]
    return value / 2 if value and high is not None else (value or 0.25) * 2


@pytest.mark.parametrize(("model", "options"), CASES)
def test_what_is_said_to_be_unread_changes_no_loss_and_no_weight(tmp_path, model, options):
    data = make_checkerboard(tmp_path, rated=model == "DGRM")
    if "modalities" in options:
        with_features(data)

    def result(**more):
        built = Built(model, data.name, {**data.overrides, **options, **more})
        torch.manual_seed(1)
        if hasattr(built.model, "begin_epoch"):
            built.model.begin_epoch(0)
        return built, built.loss()

    first, loss = result()
    unread_ones = unread(first.config.options)
    fields = {field.name: field for field in dataclasses.fields(type(first.config.options))}
    values = {name: another(fields[name], getattr(first.config.options, name)) for name in unread_ones}
    assert values
    second, same = result(**values)
    assert float(loss.detach()) == float(same.detach())
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)
    said = second.config.notes[-1]
    assert said.startswith("no effect of ")
    assert all(name in said for name in unread_ones)
    assert all(reason in said for reason in unread(second.config.options).values())


@pytest.mark.parametrize("name", registry.MODELS)
def test_each_name_that_may_be_unread_is_an_option(name):
    cls = registry.options_class(name)
    options = Config(name, "ml-100k").options if name != "SourceRegression" else None
    if options is not None:
        # Its own, or those of gradient steps and of epochs, which every run has.
        own = {field.name for field in dataclasses.fields(cls)}
        assert set(unread(options)) <= own | {*OF_STEPS, *OF_EPOCHS}


def test_the_line_names_the_given_ones_by_reason_and_a_run_folder_is_not_told():
    given = {"curriculum": False, "curriculum_end": 40, "curriculum_interval": 3, "hardest": 2, "steps": 9}
    config = Config("CCDRec", "ml-100k", overrides=given)
    assert config.notes == [
        "no effect of curriculum_end, curriculum_interval (curriculum is False), hardest (negative_sampler "
        "is curricular)"
    ]
    stored = Config(overrides=config.resolved, stored=True)
    assert stored.notes == []
    assert Config("CCDRec", "ml-100k", overrides={"steps": 9, "key_size": 4}).notes == []


def test_a_class_says_what_its_own_values_leave_unread_and_its_bases_say_theirs():
    @dataclasses.dataclass(frozen=True)
    class Base:
        a: int = option("a")
        b: int = option("b, read unless a is 0")

        def unread(self):
            return {} if self.a else {"b": "a is 0"}

    @dataclasses.dataclass(frozen=True)
    class More(Base):
        c: int = option("c, read unless b is 0")

        def unread(self):
            return {} if self.b else {"c": "b is 0"}

    assert unread(More(0, 0, 1)) == {"b": "a is 0", "c": "b is 0"}
    assert unread_text(unread(More(0, 0, 1)), ["a", "b", "c"]) == "no effect of b (a is 0), c (b is 0)"
    assert unread_text(unread(More(0, 0, 1)), ["a"]) is None
    assert unread(More(1, 0, 1)) == {"c": "b is 0"}
    assert unread(Base(1, 0)) == {}


@pytest.mark.parametrize(
    ("model", "given", "values", "expected"),
    [
        ("EASE", {}, {"learning_rate": [0.1, 0.2]}, "learning_rate (no gradient steps are taken)"),
        (
            "ItemKNN",
            {},
            {"k": [5, 9], "weight_decay": [0.1, 0.2]},
            "weight_decay (no gradient steps are taken)",
        ),
        ("EDLAE", {}, {"stopping_step": [1, 2]}, "stopping_step (no epochs over batches are trained)"),
        ("BPR", {}, {"require_pow": [True, False]}, "require_pow (the loss of BPR has no such penalty)"),
        ("CMF", {}, {"negative_rating": [0.1, 0.2]}, "negative_rating (negatives_per_rating is 0)"),
        (
            "CMF",
            {"negatives_per_rating": 1, "valid_metric": "NDCG@20"},
            {"negative_rating": [0.1, 0.2]},
            None,
        ),
        ("LinkProp", {}, {"link_share": [0.1, 0.2]}, "link_share (rounds is 1)"),
        ("LinkProp", {"rounds": 2, "link_share": 0.3}, {"link_share": [0.1, 0.2]}, None),
        ("BPR", {}, {"mirror_ascent": [0.1, 0.2]}, "mirror_ascent (mirror_gradient is False)"),
        ("BPR", {"mirror_gradient": True}, {"mirror_ascent": [0.1, 0.2]}, None),
        ("BPR", {}, {"train_neg_sample_args": [{"distribution": "popularity", "sample_num": 1}]}, None),
        (
            "BPR",
            {"negative_sampler": "dns"},
            {"train_neg_sample_args": [{"distribution": "popularity", "sample_num": 1}]},
            "train_neg_sample_args (negative_sampler is given)",
        ),
        (
            "MultiVAE",
            {},
            {"train_neg_sample_args": [{"distribution": "popularity", "sample_num": 1}]},
            "train_neg_sample_args (MultiVAE learns from whole rows of users)",
        ),
        ("LightGCN", {}, {"learning_rate": [0.1, 0.2], "reg_weight": [0.1, 0.2]}, None),
    ],
)
def test_a_sweep_says_what_its_model_does_not_read(model, given, values, expected):
    config = Config(model, "ml-100k", overrides=given)
    space = parse_space({name: {"choice": some} for name, some in values.items()}, "a space")
    said = check_combinations(space, config, space.grid({}))
    same = ": trials that differ in them alone are the same"
    assert said == (f"no effect of {expected}{same}" if expected else None)


def test_a_sweep_says_which_options_of_its_space_no_trial_reads():
    def said(given):
        config = Config("CCDRec", "ml-100k", overrides=given)
        values = {"curriculum_end": {"choice": [40, 50]}, "diffusion_weight": {"choice": [1.0, 2.0]}}
        space = parse_space(values, "a space")
        return check_combinations(space, config, space.grid({}))

    same = ": trials that differ in them alone are the same"
    assert said({}) is None
    assert said({"curriculum": False}) == f"no effect of curriculum_end (curriculum is False){same}"
    assert said({"aligning": False, "negative_sampler": "dns"}) == (
        f"no effect of curriculum_end (negative_sampler is dns), diffusion_weight (aligning is False){same}"
    )
