"""Options that the values of others leave unread: nothing learned depends on them, and a run says so."""

import dataclasses

import pytest
import torch
from support.multimodal_data import OPTIONS, with_features

from recbole_diffusion import registry
from recbole_diffusion.config import Config
from recbole_diffusion.options.declare import option, unread, unread_text
from recbole_diffusion.testing import Built, make_checkerboard
from recbole_diffusion.tuning.space_check import check_combinations
from recbole_diffusion.tuning.space_yaml import parse_space

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
    ("LATTICE", OPTIONS),
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
        assert set(unread(options)) <= {field.name for field in dataclasses.fields(cls)}


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
