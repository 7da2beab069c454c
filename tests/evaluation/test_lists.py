"""TopKLists: users computed by hand, RecBole's own metrics on random data, masked items, the file by user."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recbole_diffusion.compat import Collector, Evaluator
from recbole_diffusion.errors import RunError, UsageError
from recbole_diffusion.evaluation.lists import (
    USER_METRICS,
    TopKLists,
    load_user_metrics,
    save_user_metrics,
)
from recbole_diffusion.evaluation.ranking import tie_keys

MASKED = -math.inf


def lists_of(
    scores: list[list[float]], held_out: list[set[int]], length: int, users: list[int] | None = None
) -> TopKLists:
    """Return the lists of one batch; ``held_out`` has the item ids of each row."""
    lists = TopKLists(length)
    pairs = [(row, item) for row, items in enumerate(held_out) for item in sorted(items)]
    positive_u, positive_i = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    ids = range(1, len(scores) + 1) if users is None else users
    lists.add(torch.tensor(scores), torch.tensor(list(ids)), positive_u, positive_i)
    return lists


@pytest.fixture
def two_users() -> TopKLists:
    """User 7 gets 4, 1, 3 and wants 1, 2, 3, 5; user 5 gets 2, 1, 5 and wants 4."""
    scores = [[MASKED, 0.8, 0.1, 0.7, 0.9, 0.2], [MASKED, 0.5, 0.9, 0.1, 0.0, 0.2]]
    return lists_of(scores, [{1, 2, 3, 5}, {4}], 3, users=[7, 5])


def test_what_is_held(two_users):
    assert two_users.users.tolist() == [7, 5]
    assert two_users.items.tolist() == [[4, 1, 3], [2, 1, 5]]
    assert two_users.hits.tolist() == [[False, True, True], [False, False, False]]
    assert two_users.positives.tolist() == [4, 1]
    assert [column.dtype for column in (two_users.users, two_users.items, two_users.hits)] == [
        np.int64,
        np.int32,
        np.bool_,
    ]


def test_metrics_against_values_computed_by_hand(two_users):
    gain, best = (
        1 / math.log2(3) + 1 / 2,
        1 + 1 / math.log2(3) + 1 / 2,
    )  # hits in places 2 and 3; four positives, three places
    wanted = {
        "recall": 2 / 4,
        "ndcg": gain / best,
        "hit": 1.0,
        "precision": 2 / 3,
        "mrr": 1 / 2,
        "map": (1 / 2 + 2 / 3) / 3,
    }
    assert set(wanted) == set(USER_METRICS)
    for name, value in wanted.items():
        assert two_users.metric(name, 3) == pytest.approx([value, 0.0]), name
    for k, name in ((1, "hit"), (1, "mrr"), (1, "ndcg")):
        assert two_users.metric(name, k).tolist() == [0.0, 0.0]
    assert two_users.metric("ndcg", 2) == pytest.approx([(1 / math.log2(3)) / (1 + 1 / math.log2(3)), 0.0])


def random_batches(seed: int, n_items: int, batches: int = 4):
    """Yield scores with masked items, users, and held-out pairs, none masked and at least one a user."""
    draw = torch.Generator().manual_seed(seed)
    for number in range(batches):
        rows = 5 + number
        scores = torch.rand(rows, n_items, generator=draw).mul(8).floor()  # many equal scores
        held_out = torch.rand(rows, n_items, generator=draw) < 0.3
        held_out[:, 0], held_out[:, 1 + number] = False, True
        scores[(torch.rand(rows, n_items, generator=draw) < 0.3) & ~held_out] = MASKED
        scores[:, 0] = MASKED
        yield scores, torch.arange(rows) + 100 * number, *held_out.nonzero().T


def places(scores, users):
    """Return the place of each item in its row, float [batch, n_items]: by score, then by key."""
    keys = tie_keys(users.to(scores.device)[:, None], torch.arange(scores.shape[1], device=scores.device))
    order = np.lexsort((keys.cpu(), -scores.cpu()), axis=1)
    return torch.from_numpy(order.argsort(1)).float().to(scores.device)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_means_are_recboles_own_metrics(seed, torch_device):
    topk, names = [1, 3, 10], ["Recall", "NDCG", "Hit", "Precision", "MRR", "MAP"]
    config = {
        "topk": topk,
        "metrics": names,
        "metric_decimal_place": 12,
        "device": torch_device,
        "eval_args": {"mode": {"valid": "full", "test": "full"}},
    }
    collector, lists = Collector(config), TopKLists(max(topk))
    for scores, users, positive_u, positive_i in random_batches(seed, 20):
        scores = scores.to(torch_device)
        # RecBole leaves the order of equal scores to torch.topk: it gets places instead, all different.
        collector.eval_batch_collect(-places(scores, users), None, positive_u, positive_i)
        lists.add(scores, users, positive_u, positive_i)
    wanted = Evaluator(config).evaluate(collector.get_data_struct())
    found = lists.per_user(names, topk)
    assert set(found) == set(wanted) and len(found) == 18
    for name, value in wanted.items():
        assert found[name].mean() == pytest.approx(value, abs=1e-11), name
        assert value > 0, name


def test_masked_items_are_not_recommended():
    lists = lists_of([[MASKED, 0.3, MASKED, MASKED]], [{1, 2, 3}], 3)
    assert (lists.items.tolist(), lists.hits.tolist()) == ([[1, 0, 0]], [[True, False, False]])
    assert lists.positives.tolist() == [3]
    assert lists.metric("recall", 3) == pytest.approx([1 / 3])


def test_the_padding_item_is_no_hit_even_with_a_score():
    lists = lists_of([[0.9, 0.3, 0.1]], [{0, 1}], 2)
    assert lists.hits.tolist() == [[False, True]]


def test_a_pair_given_twice_counts_once():
    lists = TopKLists(1)
    lists.add(
        torch.tensor([[MASKED, 1.0, 0.5]]),
        torch.tensor([1]),
        torch.tensor([0, 0, 0]),
        torch.tensor([1, 1, 2]),
    )
    assert (lists.positives.tolist(), lists.metric("recall", 1).tolist()) == ([2], [0.5])


def test_users_without_a_held_out_item_are_left_out():
    lists = lists_of([[MASKED, 1.0], [MASKED, 1.0], [MASKED, 1.0]], [set(), {1}, set()], 1, users=[4, 5, 6])
    assert (lists.users.tolist(), len(lists)) == ([5], 1)


def test_batches_come_one_after_the_other():
    lists, wanted = TopKLists(2), []
    for scores, users, positive_u, positive_i in random_batches(3, 12):
        lists.add(scores, users, positive_u, positive_i)
        wanted += users.tolist()
        assert lists.users.tolist() == wanted  # reading between two batches changes nothing
        assert lists.items.shape == lists.hits.shape == (len(wanted), 2)
        assert len(lists.positives) == len(wanted)


def test_lists_that_were_never_filled_are_empty():
    lists = TopKLists(4)
    assert (len(lists), lists.items.shape, lists.metric("ndcg", 4).shape) == (0, (0, 4), (0,))


@settings(deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(1, 5))
def test_bounds(data, length, n_users):
    hits = np.array(
        data.draw(
            st.lists(
                st.lists(st.booleans(), min_size=length, max_size=length), min_size=n_users, max_size=n_users
            )
        )
    )
    extra = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n_users, max_size=n_users)))
    positives = np.maximum(hits.sum(1) + extra, 1)
    for k in range(1, length + 1):
        values = {name: metric(hits, positives, k) for name, metric in USER_METRICS.items()}
        for name, value in values.items():
            assert value.shape == (n_users,) and (value >= 0).all() and (value <= 1 + 1e-12).all(), name
            assert np.array_equal(value > 0, hits[:, :k].any(1)), name
        all_in_front = [row[: min(count, k)].all() for row, count in zip(hits, positives, strict=True)]
        assert np.array_equal(values["ndcg"] > 1 - 1e-9, all_in_front)
        assert np.array_equal(values["map"] > 1 - 1e-9, all_in_front)
        assert (values["mrr"] <= values["hit"]).all() and (values["map"] <= values["hit"] + 1e-12).all()


def test_wrong_requests_say_what_there_is(two_users):
    with pytest.raises(UsageError, match=r"no metric 'reccall'.*did you mean 'recall'"):
        two_users.per_user(["reccall"], [1])
    for k in (0, 4):
        with pytest.raises(UsageError, match=f"k is {k}; .* 1 to 3"):
            two_users.metric("recall", k)
    with pytest.raises(UsageError, match="topk asks for 9 items, but the data set has 2"):
        lists_of([[MASKED, 1.0, 0.5]], [{1}], 9)


TOKENS = np.array(["[PAD]", "a", "b", "c", "d", "user é", "f", "longest token"], dtype=object)


def test_the_file_holds_tokens_and_metrics_and_no_pickle(two_users, tmp_path):
    path = tmp_path / "user_metrics.npz"
    other = lists_of([[MASKED, 1.0, 0.5, 0.2]], [{2}], 3, users=[2])
    save_user_metrics(path, {"valid": other, "test": two_users}, TOKENS, [1, 3], ["Recall", "NDCG"])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # the draft is gone
    with np.load(path, allow_pickle=False) as arrays:
        assert all(arrays[key].dtype.kind in "Uf" for key in arrays.files)
    parts = load_user_metrics(path)
    assert list(parts) == ["valid", "test"]
    assert parts["test"]["users"].tolist() == ["longest token", "user é"]
    assert parts["valid"]["users"].tolist() == ["b"]
    assert list(parts["test"]) == ["users", "recall@1", "recall@3", "ndcg@1", "ndcg@3"]
    assert parts["test"]["recall@3"].dtype == np.float32
    assert parts["test"]["ndcg@3"] == pytest.approx(two_users.metric("ndcg", 3), rel=1e-6)
    assert parts["valid"]["ndcg@3"] == pytest.approx([1 / math.log2(3)], rel=1e-6)


def test_a_failed_write_leaves_the_old_file(two_users, tmp_path, monkeypatch):
    path = tmp_path / "user_metrics.npz"
    save_user_metrics(path, {"test": two_users}, TOKENS, [1], ["mrr"])
    before = path.read_bytes()

    def disk_full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", disk_full)
    with pytest.raises(RunError, match="No space left"):
        save_user_metrics(path, {"test": two_users}, TOKENS, [3], ["mrr"])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_files_that_cannot_be_read(two_users, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        load_user_metrics(tmp_path / "nothing.npz")
    path = tmp_path / "user_metrics.npz"
    save_user_metrics(path, {"test": two_users}, TOKENS, [1, 3], list(USER_METRICS))
    whole = path.read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) // 2], whole[:60] + b"\0" * 20 + whole[80:]):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="cannot read"):
            load_user_metrics(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RunError, match="cannot read"):
        load_user_metrics(path)
    with path.open("wb") as file:
        np.savez(file, **{"test/users": np.array(["a", {}], dtype=object)})
    with pytest.raises(RunError, match="cannot read"):
        load_user_metrics(path)
    for users, column in (
        (np.array(["a", "b"]), np.zeros(3)),
        (np.array(["a", "b"]), np.array(["1", "0"])),
        (np.array([1, 2]), np.zeros(2)),
        (np.array("a"), np.zeros(())),
    ):
        with path.open("wb") as file:
            np.savez(file, **{"test/users": users, "test/mrr@1": column})
        with pytest.raises(RunError, match="part 'test'"):
            load_user_metrics(path)
