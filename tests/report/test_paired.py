"""Paired tests of finished runs against the plain test on the same users."""

import numpy as np
import pytest
from scipy import stats
from support.finished_runs import PARTS

from recbole_diffusion.errors import UsageError
from recbole_diffusion.evaluation.significance import holm, pooled_test
from recbole_diffusion.report.comparison import compare
from recbole_diffusion.report.comparison_table import tests_table as table_of_tests
from recbole_diffusion.report.paired import kept_by_user, paired_tests, usual_test

DRAW = np.random.default_rng(3)
COUNTS = np.r_[np.full(20, 1.0), np.full(20, 9.0)]  # half of the users have most of the ratings
RANDOM_SPLIT = {"benchmark_filename": None, "eval_args": {"order": "RO"}, "valid_metric": "rated_mae"}


def errors_of(name: str, seed: int, kept: int, shift: float) -> dict[str, np.ndarray]:
    """Return the errors of the first ``kept`` of 40 users, the same whenever asked for."""
    draw = np.random.default_rng([*name.encode(), seed])
    mae = draw.random(40)[:kept] + shift
    return {"rated_mae": mae, "rated_mse": mae**2, "rated_count": COUNTS[:kept]}


@pytest.fixture
def rated(make_run):
    """Three methods that predict ratings, on random splits of which the last has run on the first alone."""
    runs = {}
    for name, shift, seeds in (("A", 0.0, (0, 1)), ("B", 0.1, (0, 1)), ("C", 0.3, (0,))):
        runs[name] = []
        for seed in seeds:
            parts = PARTS | {"test": {"rows": 4, "fingerprint": f"{seed:016x}"}}
            users = errors_of(name, seed, 40 - 10 * seed, shift)
            test = {"rated_mae": float(users["rated_mae"].mean()), "rated_rmse": 1.0}
            made = {"model": name, "config": RANDOM_SPLIT, "parts": parts, "test": test}
            runs[name].append(make_run(f"{name}-{seed}", 0.1, seed, users, **made))
    return runs


def pair(first: str, second: str, seeds: tuple[int, ...], metric: str) -> list[tuple]:
    shifts = {"A": 0.0, "B": 0.1, "C": 0.3}
    return [
        tuple(
            {"users": np.array([f"u{k}" for k in range(40 - 10 * seed)])}
            | {
                key: np.asarray(values, np.float32)
                for key, values in errors_of(name, seed, 40 - 10 * seed, shifts[name]).items()
                if key in (metric, "rated_count")
            }
            for name in (first, second)
        )
        for seed in seeds
    ]


@pytest.mark.parametrize(("metric", "tested"), [("rated_mae", "rated_mae"), ("rated_rmse", "rated_mse")])
def test_errors_are_tested_over_ratings_on_the_splits_that_both_methods_have(rated, metric, tested):
    rows = paired_tests(rated, "A", "test", metric)
    with_b, with_c = (
        pooled_test(pair("A", name, seeds, tested), tested) for name, seeds in (("B", (0, 1)), ("C", (0,)))
    )
    assert [(row["method"], row["metric"], row["test"]) for row in rows] == [
        ("B", tested, "bootstrap"),
        ("C", tested, "bootstrap"),
    ]
    assert [row["difference"] for row in rows] == pytest.approx([with_b[0], with_c[0]])
    assert [row["p"] for row in rows] == pytest.approx([with_b[1], with_c[1]])
    assert [row["p_holm"] for row in rows] == pytest.approx(
        list(holm({"B": with_b[1], "C": with_c[1]}).values())
    )
    assert [row["users"] for row in rows] == [40, 40]


def test_the_t_test_of_errors_is_over_users(rated):
    (row,) = paired_tests({name: rated[name] for name in "AC"}, "A", "test", "rated_mae", "t")
    first, second = (errors_of(name, 0, 40, shift)["rated_mae"] for name, shift in (("A", 0.0), ("C", 0.3)))
    assert row["p"] == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-3)
    over_ratings = paired_tests({name: rated[name] for name in "AC"}, "A", "test", "rated_mae")[0]
    assert row["difference"] == pytest.approx((first - second).mean(), rel=1e-4)
    assert over_ratings["difference"] == pytest.approx(np.average(first - second, weights=COUNTS), rel=1e-4)


def test_signed_ranks(make_run):
    draws = {name: DRAW.random(40) + 0.2 * (name == "A") for name in "AB"}
    runs = {name: [make_run(name, 0.1, 0, users, model=name)] for name, users in draws.items()}
    (row,) = paired_tests(runs, "A", "test", "recall@20", "wilcoxon")
    assert row["p"] == pytest.approx(stats.wilcoxon(draws["A"] - draws["B"]).pvalue, rel=1e-3)


def test_a_comparison_by_an_error_has_the_bootstrap(rated):
    found = compare({name: rated[name] for name in "AB"}, by="rated_mae")
    row = next(method for method in found.methods if method.name == "B").tests["test"]
    assert row["p"] == paired_tests({name: rated[name] for name in "AB"}, "A", "test", "rated_mae")[0]["p"]
    assert "paired bootstrap over users, each with all their ratings, of rated_mae" in found.about_p[-1]


def test_what_a_test_needs_and_what_it_is_by_default(rated, make_run):
    assert kept_by_user(rated["A"], "test", "rated_rmse")
    assert not kept_by_user(rated["A"], "test", "recall@20")
    bare = make_run("bare", 0.1, 0, {"rated_mae": np.ones(3)})  # without the number of ratings
    assert not kept_by_user([bare], "test", "rated_mae")
    assert [usual_test(metric) for metric in ("rated_rmse", "rated_ndcg@5")] == ["bootstrap", "t"]
    with pytest.raises(UsageError, match="has not stored recall@20"):
        paired_tests(rated, "A", "test", "recall@20")
    with pytest.raises(UsageError, match="no method 'D'"):
        paired_tests(rated, "D", "test", "rated_mae")


def test_methods_without_a_split_in_common_are_refused(rated):
    apart = {"A": rated["A"][1:], "C": rated["C"]}
    with pytest.raises(UsageError, match="'A' and 'C' have no split in common"):
        paired_tests(apart, "A", "test", "rated_mae")


def test_the_table_has_a_row_for_each_test(rated):
    rows = paired_tests(rated, "A", "test", "rated_mae")
    table = table_of_tests(rows, "title")
    assert table.columns == ["method", "against", "metric", "difference", "p", "p (Holm)"]
    assert [cell.text for cell in table.rows[1][:3]] == ["A", "C", "rated_mae"]
    assert [cell.value for cell in table.rows[1][3:]] == [
        rows[1][key] for key in ("difference", "p", "p_holm")
    ]
    assert table.rows[1][3].text == f"{rows[1]['difference']:+.4f}"


def test_methods_with_different_users_are_called_by_their_names(make_run):
    runs = {
        "A": [make_run("A", users=[1.0, 0.0, 1.0])],
        "B": [make_run("B", users=[1.0, 0.0])],
    }
    with pytest.raises(
        UsageError, match=r"'A' and run 1 of 'B' have different users: 1 only in .* 'A', .* 'u2'"
    ):
        paired_tests(runs, "A", "test", "recall@20")
