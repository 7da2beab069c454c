"""Columns that options of RecBole's models name as features: what is not there or not read is refused."""

import pytest

from recbole_diffusion.config import Config
from recbole_diffusion.data.preparation import check_fit, create_dataset
from recbole_diffusion.errors import UsageError
from recbole_diffusion.quick_start import run


@pytest.fixture
def options(tmp_path):
    """Write 10 users, 12 items with a class, a brand and a price; return options of a run."""
    folder = tmp_path / "shop"
    folder.mkdir()
    head = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    rows = "".join(f"u{u}\ti{(u + 5 * k) % 12}\t{1 + k % 5}\t{k}\n" for u in range(10) for k in range(8))
    (folder / "shop.inter").write_text(head + rows)
    items = "".join(f"i{i}\tc{i % 3} c3\tb{i % 4}\t{i}.5\n" for i in range(12))
    (folder / "shop.item").write_text("item_id:token\tclass:token_seq\tbrand:token\tprice:float\n" + items)
    return {
        "dataset": "shop",
        "data_path": str(tmp_path),
        "run_dir": str(tmp_path / "run"),
        "epochs": 1,
        "use_gpu": False,
    }


SEQUENCES = {
    "load_col": {
        "inter": ["user_id", "item_id", "timestamp"],
        "item": ["item_id", "class", "brand", "price"],
    },
    "MAX_ITEM_LIST_LENGTH": 4,
    "topk": [3],
    "valid_metric": "Recall@3",
}
ROWS = {
    "load_col": {"inter": ["user_id", "item_id", "rating"], "item": ["item_id", "class", "brand", "price"]},
    "threshold": {"rating": 3},
    "embedding_size": 4,
}
HISTORY_ONLY = {**SEQUENCES, "load_col": {"inter": ["user_id", "item_id", "timestamp"]}}


@pytest.mark.parametrize(
    ("model", "given", "told"),
    [
        (
            "S3Rec",
            HISTORY_ONLY,
            "item_attribute names 'class', but .* has no such column of the items here; S3Rec",
        ),
        ("FDSA", HISTORY_ONLY, r"load them with load_col, such as item: \[item_id, class\]"),
        (
            "S3Rec",
            {**SEQUENCES, "item_attribute": "price"},
            "which is float; S3Rec reads token, token_seq there$",
        ),
        ("S3Rec", {**SEQUENCES, "item_attribute": ["class"]}, "takes the name of a column of the items"),
        (
            "GRU4RecF",
            {**SEQUENCES, "selected_features": ["clas"]},
            "here, only class, brand, price; GRU4RecF",
        ),
        ("GRU4RecF", {**SEQUENCES, "selected_features": "brand"}, "takes a list of columns of the items"),
        ("SASRecF", {**SEQUENCES, "selected_features": []}, "takes a list of columns of the items"),
        (
            "SASRecF",
            {**SEQUENCES, "selected_features": ["class", "price"]},
            "if numerical_features names them",
        ),
        (
            "FFM",
            {**ROWS, "fields": {1: ["user_id"], 2: ["item_id", "class", "brand"]}},
            "numbers from 0 without",
        ),
        ("FwFM", {**ROWS, "fields": {"a": ["user_id"]}}, "whole numbers from 0 without a gap"),
        ("FwFM", {**ROWS, "fields": {0: "user_id"}}, "lists of columns by whole numbers"),
        (
            "FFM",
            {**ROWS, "fields": {0: ["user_id", "item_id", "brand"], 1: ["clas"]}},
            "fields names clas, which",
        ),
        (
            "FFM",
            {**ROWS, "fields": {0: ["user_id", "brand"], 1: ["brand", "class"]}},
            "has item_id, brand not at",
        ),
        ("SASRecCPR", {**HISTORY_ONLY, "n_facet_emb": 1}, "option 'n_facet_emb' is 1; it takes 0 or 2"),
        ("SASRecCPR", HISTORY_ONLY, "CAN_NUM is 100: .* but data set 'shop' has only 12; give smaller"),
        (
            "FM",
            {**ROWS, "numerical_features": ["prize"]},
            "'prize', which is not loaded; it takes loaded columns",
        ),
        (
            "FM",
            {**ROWS, "numerical_features": ["brand"]},
            "'brand', which is token; it takes loaded columns of",
        ),
        (
            "FM",
            {**ROWS, "numerical_features": ["rating"]},
            "'rating', which is read as the number that it is",
        ),
        (
            "EASE",
            {"rating_scale": [1, 5], "load_col": ROWS["load_col"], "numerical_features": ["rating"]},
            "rating', which is read as the number that it is",
        ),
    ],
)
def test_a_feature_that_is_not_there_or_not_read_is_refused(options, model, given, told):
    with pytest.raises(UsageError, match=told):
        run(model, overrides={**options, **given})


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("SASRecF", {**SEQUENCES, "selected_features": ["class", "price"], "numerical_features": ["price"]}),
        ("GRU4RecF", {**SEQUENCES, "selected_features": ["brand"]}),
        ("GRU4RecF", {**HISTORY_ONLY, "selected_features": ["item_id"]}),
        ("FFM", {**ROWS, "fields": {1: ["user_id"], 0: ["item_id", "class", "brand"]}}),
        ("FwFM", {**ROWS, "numerical_features": ["price"], "fields": None}),
    ],
)
def test_features_that_are_there_are_read(options, model, given):
    assert run(model, overrides={**options, **given})["model"] == model


def test_an_earlier_run_keeps_fields_with_names_that_recbole_passed_over(options):
    fields = {0: ["user_id", "clas"], 1: ["item_id", "class", "brand"]}
    stored = Config("FFM", overrides={**options, **ROWS, "fields": fields}).resolved
    earlier = Config(overrides=stored, stored=True)
    check_fit(earlier, create_dataset(earlier))


def test_rows_with_labels_have_no_seed_of_drawn_items(options, tmp_path):
    assert "candidates_seed" not in run("FM", overrides={**options, **ROWS})
    options["run_dir"] = str(tmp_path / "drawn")
    drawn = {"load_col": {"inter": ["user_id", "item_id"]}, "embedding_size": 4}
    more = {"eval_args": {"mode": "uni5"}, "topk": [3], "metrics": ["Recall"], "valid_metric": "Recall@3"}
    assert "candidates_seed" in run("BPR", overrides={**options, **drawn, **more})
