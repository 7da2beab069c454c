"""CDR: the contract without and with times, its gates and environments by hand, its identities in float64."""

import math

import pytest
import torch
from support.small import with_times

from recbole_diffusion.data.dataset import TIME_RANK
from recbole_diffusion.errors import UsageError
from recbole_diffusion.model.rows.cdr import decoder_gradient, open_gates
from recbole_diffusion.quick_start import run
from recbole_diffusion.serving.loaded_run import load_run
from recbole_diffusion.testing import Built, ModelContract
from recbole_diffusion.testing.checkerboard import write_parts

SMALL = {
    "hidden_size": 32,
    "factor_size": 8,
    "latent_dimension": 8,
    "train_batch_size": 10,
    "learning_rate": 0.01,
    "kl_weight": 0.1,
    "dropout_prob": 0.3,
}
ONE = {"environments": 1, "more_environments": 0}


class TestCDRWithoutTimes(ModelContract):
    model = "CDR"
    options = {**SMALL, **ONE}


class TestCDR(ModelContract):
    model = "CDR"
    options = SMALL

    @pytest.fixture
    def checkerboard(self, checkerboard):
        """Each row has a time, the later the later in the file."""
        return with_times(checkerboard)


def timed(tmp_path, rows, **options):
    """Return a model on rows of user, item and time; ``timestamp`` is loaded since the model needs it."""
    others = [("other", f"i{k}", 0) for k in range(2, 9)]
    data = write_parts(tmp_path, "cells", {"train": [*rows, *others], "valid": rows[:1], "test": rows[:1]})
    for file in data.folder.glob("*.inter"):
        file.write_text(file.read_text().replace("rating:float", "timestamp:float"))
    columns = {"inter": ["user_id", "item_id"]}
    overrides = {**data.overrides, "load_col": columns, "allow_overlap": True, "topk": [1]}
    return Built("CDR", "cells", {**overrides, "valid_metric": "Recall@1", **SMALL, **options})


def parts_of(built, environments, user="u"):
    """Return the items of each environment of a user, as sets of tokens."""
    number = int(built.dataset.token2id("user_id", user))
    items, bags, _ = built.model.bags(torch.tensor([number]), environments)
    tokens = built.dataset.id2token("item_id", items.numpy())
    return [{token for token, bag in zip(tokens, bags, strict=True) if bag == t} for t in range(environments)]


# In the file the items are in another order than in time; 64 bits tell the first two apart.
LATE = 2.0**40
HISTORY = [
    ("u", f"i{k}", LATE + time)
    for k, time in ((3, 30), (0, 0), (1, 0.25), (4, 40), (2, 20), (5, 50), (6, 60))
]


def test_a_history_is_cut_by_time_into_equal_counts_and_the_last_has_the_rest(tmp_path):
    built = timed(tmp_path, HISTORY)
    assert parts_of(built, 3) == [{"i0", "i1"}, {"i2", "i3"}, {"i4", "i5", "i6"}]
    assert parts_of(built, 5) == [{"i0"}, {"i1"}, {"i2"}, {"i3"}, {"i4", "i5", "i6"}]
    assert parts_of(built, 8) == [set()] * 7 + [{f"i{k}" for k in range(7)}]


LAST = {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"}
LATER = {"split": {"TS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "user", "mode": "full"}


@pytest.mark.parametrize(
    "more",
    [{}, {"valid_part": "latest"}, {"shift": "temporal"}, {"eval_args": LAST}, {"eval_args": LATER}],
    ids=["random", "latest", "temporal", "LS", "TS"],
)
def test_every_split_carries_the_order_of_the_training_rows(tmp_path, more):
    draw = torch.randperm(400, generator=torch.Generator().manual_seed(1))
    rows = [(f"u{int(k) % 20}", f"i{(int(k) // 20 + int(k)) % 40}", LATE + int(k) / 4) for k in draw]
    place = tmp_path / "data" / "log"
    place.mkdir(parents=True)
    lines = ["user_id:token\titem_id:token\ttimestamp:float", *("\t".join(map(str, row)) for row in rows)]
    (place / "log.inter").write_text("\n".join(lines) + "\n")
    options = {"data_path": str(place.parent), "load_col": {"inter": ["user_id", "item_id"]}, **SMALL, **more}
    train = Built("CDR", "log", {**options, "use_gpu": False}).train._dataset
    time = {(user, item): at for user, item, at in rows}
    users, items = (train.id2token(name, train.inter_feat[name].numpy()) for name in ("user_id", "item_id"))
    found = [time[pair] for pair in zip(users, items, strict=True)]
    order = train.inter_feat[TIME_RANK].argsort().tolist()
    assert [found[k] for k in order] == sorted(found)


@pytest.mark.parametrize("columns", [{"inter": ["user_id", "item_id"]}, None], ids=["named", "all"])
def test_data_without_times_are_refused_with_what_to_do(tmp_path, columns):
    rows = [("u", "i0"), ("u", "i1"), ("v", "i0")]
    data = write_parts(tmp_path, "cells", {"train": rows, "valid": rows[:1], "test": rows[:1]})
    with pytest.raises(UsageError, match=r"has no column 'timestamp'.*or set environments to 1 and more_env"):
        Built("CDR", "cells", {**data.overrides, "load_col": columns, "topk": [1], **SMALL})


def test_the_order_within_an_environment_does_not_matter_and_that_of_environments_does(tmp_path):
    def scores(order, folder):
        rows = [("u", f"i{k}", place) for place, k in enumerate(order)]
        return timed(tmp_path / folder, sorted(rows), more_environments=0).model.eval().vectors()[0][1]

    plain = scores([0, 1, 2, 3, 4, 5], "plain")
    assert torch.equal(scores([1, 0, 3, 2, 5, 4], "within"), plain)
    assert not torch.allclose(scores([4, 5, 2, 3, 0, 1], "exchanged"), plain)


def test_gates_by_hand(tmp_path):
    """Softmax of (1, 0) / 0.5; gates that are all equal give each category a share of 1 / C."""
    model = timed(tmp_path, HISTORY, temperature=0.5).model.eval()
    raw = torch.tensor([[1.0], [0.0]])
    torch.testing.assert_close(model._shares(raw), torch.tensor([[0.880797], [0.119203]]))
    model.factor_gates.data.fill_(0.3)
    model.item_gates.data.fill_(0.7)
    torch.testing.assert_close(model.gates(), torch.full_like(model.gates(), 1 / (2 * 0.5)))
    assert open_gates(torch.tensor([0.0]), 0.1).item() == 0.5
    assert open_gates(torch.tensor([0.5], dtype=torch.float64), 0.1).item() == pytest.approx(0.99999971)


def test_scores_are_the_sum_over_categories(tmp_path):
    """y_i = sum_c M2_ci (V_i . (z * M1_c) + beta_i) / tau, in float64."""
    model = timed(tmp_path, HISTORY, categories=3, temperature=0.4).model.double().eval()
    model.offsets.data.normal_()
    users, items = (one.detach() for one in model.vectors())
    M1, M2 = (torch.softmax(raw.detach() / 0.4, 0) for raw in (model.factor_gates, model.item_gates))
    z, V = users[:, :-1], model.V.detach()
    expected = sum(M2[c] * ((z * M1[c]) @ V.T + model.offsets.detach()) / 0.4 for c in range(3))
    torch.testing.assert_close(users @ items.T, expected)


def test_the_decoder_s_gradient_is_the_one_of_autograd():
    torch.manual_seed(0)
    batch, n_items, K = 4, 6, 3
    z, V, gates = (torch.randn(rows, K, dtype=torch.float64) for rows in (batch, n_items, n_items))
    x = (torch.rand(batch, n_items) < 0.5).double()
    V.requires_grad_(True)
    log_shares = torch.log_softmax(z @ (V * gates).T, 1)
    (expected,) = torch.autograd.grad(-(x * log_shares).sum() / batch, V)
    cells = x.nonzero(as_tuple=True)
    whole = log_shares.detach()
    torch.testing.assert_close(decoder_gradient(whole, cells, z, gates, None), expected)
    # Of the first two users alone.
    log_shares = torch.log_softmax(z[:2] @ (V * gates).T, 1)
    (of_two,) = torch.autograd.grad(-(x[:2] * log_shares).sum() / 2, V)
    torch.testing.assert_close(decoder_gradient(whole, cells, z, gates, 2), of_two)


def test_equal_environments_have_no_variance(tmp_path):
    """The same items in both parts, no noise, and nothing carried on: the gradients are equal."""
    model = timed(tmp_path, HISTORY, environments=2, noise_std=0.0, dropout_prob=0.0, gate_noise=0.0).model
    model.train()
    model.transition.weight.data[:, model.options.factor_size :] = 0
    users = torch.tensor([1, 2])
    one = torch.tensor([1, 2, 3, 4]), torch.tensor([0, 0, 1, 1]), torch.tensor([2, 2])
    items, bags, sizes = torch.cat([one[0]] * 2), torch.cat([one[1], one[1] + 2]), torch.cat([one[2]] * 2)
    model.bags = lambda users, environments: (items, bags, sizes)
    parts = dict(zip(model.loss_names, model.calculate_loss({model.USER_ID: users}), strict=True))
    assert parts["variance"].item() == 0
    items[-1] = 5
    other = dict(zip(model.loss_names, model.calculate_loss({model.USER_ID: users}), strict=True))
    assert other["variance"].item() > 0


def test_the_divergence_of_the_factors_by_hand(tmp_path):
    """mu = 1 and a log variance of 0 in A dimensions: A / 2, the mean over environments and users."""
    model = timed(tmp_path, HISTORY, kl_weight=1.0).model
    model.encoder.weight.data.zero_()
    model.encoder.bias.data[:] = torch.tensor([1.0] * 8 + [0.0] * 8)
    parts = model.calculate_loss({model.USER_ID: torch.tensor([1, 2])})
    assert math.isclose(parts[1].item(), 4.0, rel_tol=1e-6)


def test_a_loaded_run_scores_by_the_order_that_it_was_trained_on(tmp_path):
    """Also where the data has grown since: the order is kept with the rows."""
    data = with_times(write_parts(tmp_path, "board", board()))
    overrides = {**data.overrides, **SMALL, "epochs": 1, "topk": [5], "valid_metric": "Recall@5"}
    result = run("CDR", "board", overrides=overrides)
    before = load_run(result["run_dir"])
    users, _ = before.vectors()
    file = data.folder / "board.train.inter"
    file.write_text(file.read_text() + "u1\ti39\t-5\nnew\ti3\t-4\n")
    torch.testing.assert_close(
        torch.as_tensor(load_run(result["run_dir"]).vectors()[0]), torch.as_tensor(users)
    )


def board():
    draw = torch.Generator().manual_seed(2)
    rows = [(f"u{u}", f"i{int(i)}") for u in range(20) for i in torch.randperm(38, generator=draw)[:12]]
    return {"train": rows[: 12 * 20 - 40], "valid": rows[200:220], "test": rows[220:]}
