"""Rows are ordered by their times in 64 bits, however the parts are made; times that are none are refused."""

import re

import numpy as np
import pytest

from recbole_diffusion.compat import init_seed
from recbole_diffusion.config import Config
from recbole_diffusion.data.dataset import InteractionDataset
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.data.times import rows_before_and_after
from recbole_diffusion.errors import UsageError

START = 1_700_000_000  # float32 has one number for 128 seconds
SMALL = {"topk": [1], "valid_metric": "MRR@1", "use_gpu": False}
ITEMS = 8


@pytest.fixture
def write(tmp_path):
    """Return a function that writes rows under a header, and the options to read them."""

    def written(rows, header="user_id:token\titem_id:token\ttimestamp:float"):
        folder = tmp_path / "data" / "toy"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "toy.inter").write_text("\n".join([header, *rows]) + "\n")
        return {"dataset": "toy", "data_path": str(folder.parent), **SMALL}

    return written


@pytest.fixture
def seconds(write):
    """Six users who have i0 ... i7 in this order, two seconds apart; the file is in random order."""
    order = np.random.default_rng(3).permutation(6 * ITEMS)
    return write([f"u{row // ITEMS}\ti{row % ITEMS}\t{START + 2 * (row % ITEMS)}" for row in order])


def items_by_user(part):
    """Return the numbers of the items of each user in a part."""
    users, items = (
        part.id2token(field, part.inter_feat[field].numpy()) for field in (part.uid_field, part.iid_field)
    )
    return {user: [int(item[1:]) for item in items[users == user]] for user in sorted(set(users))}


def split(options, model="BPR", **more):
    init_seed(2, True)
    return create_dataset(Config(model, overrides={**options, **more})).build()


def every(first, last):
    return {f"u{user}": list(range(first, last)) for user in range(6)}


BY_TIME = {
    "leave the last out": ({"split": {"LS": "valid_and_test"}, "order": "TO"}, (6, 7)),
    "by shares": ({"split": {"RS": [0.5, 0.25, 0.25]}, "order": "TO"}, (4, 6)),
    "by shares over all": ({"split": {"RS": [0.5, 0.25, 0.25]}, "order": "TO", "group_by": "none"}, (4, 6)),
    "by time": ({"split": {"TS": [0.5, 0.25, 0.25]}, "order": "TO"}, (4, 6)),
    "by time, order not given": ({"split": {"TS": [0.5, 0.25, 0.25]}}, (4, 6)),
    "by time, random order asked for": ({"split": {"TS": [0.5, 0.25, 0.25]}, "order": "RO"}, (4, 6)),
}


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("case", BY_TIME)
def test_the_latest_rows_are_held_out(seconds, case, normalized):
    arguments, (valid, test) = BY_TIME[case]
    columns = {"inter": ["user_id", "item_id"]}  # the time is loaded by itself
    parts = split(seconds, eval_args=arguments, load_col=columns, normalize_all=normalized)
    expected = [every(0, valid), every(valid, test), every(test, ITEMS)]
    assert [items_by_user(part) for part in parts] == expected


@pytest.mark.parametrize("kind", ["LS", "TS"])
def test_a_sequence_is_in_order_of_time(seconds, kind):
    shares = {"LS": "valid_and_test", "TS": [0.5, 0.25, 0.25]}
    train, valid, test = split(
        seconds,
        "GRU4Rec",
        eval_args={"split": {kind: shares[kind]}, "order": "TO"},
        train_neg_sample_args=None,
        load_col={"inter": ["user_id", "item_id", "timestamp"]},
    )
    # The rows are the items i1 ... i7, each with the sequence before it. The quantile 0.75 of their times is
    # that of i6; of the six rows up to it, floor(6 * 0.5 / 0.75) train.
    assert items_by_user(test) == every(7, 8)
    assert items_by_user(valid) == (every(6, 7) if kind == "LS" else every(5, 7))
    assert items_by_user(train) == (every(1, 6) if kind == "LS" else every(1, 5))
    sequence = test.id2token("item_id", test.inter_feat["item_id_list"][0].numpy())
    assert list(sequence[:7]) == [f"i{item}" for item in range(7)]


def test_equal_times_keep_the_order_of_the_file(write):
    options = write([f"u{user}\ti{item}\t{START}" for user in range(3) for item in (3, 0, 2, 1)])
    columns = {"inter": ["user_id", "item_id", "timestamp"]}
    *_, test = split(options, eval_args={"split": {"LS": "valid_and_test"}, "order": "TO"}, load_col=columns)
    assert items_by_user(test) == {"u0": [1], "u1": [1], "u2": [1]}


@pytest.mark.parametrize(("keep", "kept"), [("first", "3"), ("last", "4")])
def test_repeated_rows_are_kept_by_time(write, keep, kept):
    rows = [f"u{user}\ti{item}\t{rating}\t{START + when}" for user in range(3) for item in range(3)
            for rating, when in ((1, 10), (4, 40), (3, 2), (2, 20))]  # fmt: skip
    options = write(rows, "user_id:token\titem_id:token\trating:float\ttimestamp:float")
    dataset = InteractionDataset(
        Config("BPR", overrides={**options, "rm_dup_inter": keep, "load_col": None, "normalize_all": False})
    )
    assert dataset.inter_feat["rating"].tolist() == [float(kept)] * 9


def repeated(write, keep, **more):
    """Return the data set of three users and items, each pair with four ratings and times."""
    rows = [f"u{user}\ti{item}\t{rating}\t{START + when}" for user in range(3) for item in range(3)
            for rating, when in ((1, 10), (4, 40), (3, 2), (2, 20))]  # fmt: skip
    options = write(rows, "user_id:token\titem_id:token\trating:float\ttimestamp:float")
    options |= {"rm_dup_inter": keep, "normalize_all": False}
    columns = {"inter": ["user_id", "item_id", "rating"]}
    return InteractionDataset(Config("BPR", overrides={**options, "load_col": columns, **more}))


@pytest.mark.parametrize(("keep", "kept"), [("first", "3"), ("last", "4")])
def test_repeated_rows_are_kept_by_a_time_that_is_not_loaded(write, keep, kept, caplog):
    dataset = repeated(write, keep)
    assert dataset.inter_feat["rating"].tolist() == [float(kept)] * 9
    assert "timestamp" not in dataset.inter_feat  # a model of columns would learn from it
    assert "timestamp" not in dataset.field2type
    assert "in the order of the file" not in caplog.text


@pytest.mark.parametrize(
    "without", [{"TIME_FIELD": "when"}, {"unload_col": {"inter": ["timestamp"]}, "load_col": None}]
)
@pytest.mark.parametrize(("keep", "kept"), [("first", "1"), ("last", "2")])
def test_repeated_rows_without_a_time_are_kept_in_the_order_of_the_file(write, keep, kept, without, caplog):
    dataset = repeated(write, keep, **without)
    assert dataset.inter_feat["rating"].tolist() == [float(kept)] * 9
    assert f"rm_dup_inter keeps the {keep} row of each pair in the order of the file" in caplog.text


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([5] * 40, "'toy' has the time 5 in all of its rows, and eval_args splits by time"),
        (range(START * 10**9, START * 10**9 + 40_000, 1000), "times up to 1.7e[+]18, .* in steps of 256"),
    ],
)
def test_times_that_cannot_order_rows_are_told(write, times, said, caplog):
    options = write([f"u{row % 5}\ti{row // 5}\t{time}" for row, time in enumerate(times)])
    create_dataset(Config("BPR", overrides={**options, "eval_args": {"order": "TO"}}))
    assert re.search(said, caplog.text)


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (
            lambda user, item: user,
            "5 of the 5 users with several rows have more than one at their latest time",
        ),
        (lambda user, item: f"{START + 86_400 * item:.2e}", "(2 different times in all)"),  # by a spreadsheet
        (lambda user, item: min(item, 6) if user < 3 else item, "3 of the 5 users with several rows"),
        (lambda user, item: min(item, 6) if user < 2 else item, None),
        (lambda user, item: item // 7, None),  # the latest has a time of its own
    ],
)
def test_users_whose_latest_row_is_chosen_by_the_order_of_the_file_are_told(write, caplog, time, told):
    rows = [f"u{user}\ti{item}\t{time(user, item)}" for user in range(5) for item in range(ITEMS)]
    options = write([*rows, "u5\ti0\t3"])
    create_dataset(Config("BPR", overrides={**options, "eval_args": {"order": "TO"}}))
    assert ("such rows stay in the order of the file" in caplog.text) is (told is not None)
    assert told is None or told in caplog.text
    caplog.clear()
    create_dataset(Config("BPR", overrides=options))  # nothing is ordered
    assert "latest time" not in caplog.text


@pytest.mark.parametrize("mode", ["full", "uni1"])
@pytest.mark.parametrize("parts", [{"shift": "temporal"}, {"valid_part": "latest"}])
def test_times_stay_with_their_rows_when_a_loader_sorts_its_part(write, parts, mode):
    # Six users with eight of twelve items each, at a time of the item's own; the file is in random order.
    order = np.random.default_rng(3).permutation(6 * ITEMS)
    items = [(row // ITEMS + row % ITEMS) % 12 for row in order]
    rows = [f"u{row // ITEMS}\ti{item}\t{START + 2 * item}" for row, item in zip(order, items, strict=True)]
    config = Config("BPR", overrides={**write(rows), **parts, "eval_args": {"mode": mode}})
    _, valid, tests = prepare_data(config, create_dataset(config))
    for loader in (valid, *tests.values()):
        part = loader._dataset
        of_rows = [int(item[1:]) for item in part.id2token("item_id", part.inter_feat["item_id"].numpy())]
        assert part.times.tolist() == [START + 2 * item for item in of_rows]
        assert [items[row] for row in part.file_rows] == of_rows


def test_rows_are_divided_at_a_moment_and_then_by_user():
    times = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    users = np.array([7, 5, 7, 5, 7, 7, 5, 7, 5, 7])
    train, valid, test = rows_before_and_after(times, users, [6, 2, 2])
    # Later than 8.2, the quantile 0.8: rows 8, 9. User 7 has rows 0 2 4 5 7 before, floor(5 * 0.75) train.
    assert [train.tolist(), valid.tolist(), test.tolist()] == [[0, 2, 4, 1, 3], [5, 7, 6], [9, 8]]


def test_without_a_test_share_everything_is_before():
    train, valid, test = rows_before_and_after(np.arange(4), np.zeros(4, int), [0.5, 0.5, 0])
    assert [len(train), len(valid), len(test)] == [2, 2, 0]


WHERE_TIMES_ARE_NEEDED = {
    "order": {"eval_args": {"order": "TO"}},
    "time based split": {"eval_args": {"split": {"TS": [0.8, 0.1, 0.1]}}},
    "shift": {"shift": "temporal"},
    "the latest rows are valid": {"valid_part": "latest"},
    "repeated rows": {"rm_dup_inter": "last", "load_col": None},
    "repeated rows, time not loaded": {"rm_dup_inter": "last"},
}
FAULTS = {
    "gaps": (
        "float",
        {1: "", 4: "NA"},
        r"toy.inter, line 3, 6: no time in the column 'timestamp' \(2 rows\), but",
    ),
    "infinite": ("float", {2: "inf"}, r"toy.inter, line 4: no time in the column 'timestamp' \(1 row\)"),
    "tokens": (
        "token",
        {},
        r"toy.inter, line 1: the column 'timestamp' is token and not a number, but .*timestamp:float",
    ),
    "dates": (
        "float",
        {3: "2026-11-28"},
        r"line 5: found '2026-11-28' .* write dates as numbers, such as seconds",
    ),
    "dates as tokens": (
        "token",
        {3: "2026-11-28 12:00"},
        r"line 1: the column 'timestamp' is token and not a number",
    ),
}


@pytest.mark.parametrize("need", WHERE_TIMES_ARE_NEEDED)
@pytest.mark.parametrize("fault", FAULTS)
def test_times_that_are_none_are_refused_with_their_lines_everywhere(write, fault, need):
    kind, wrong, message = FAULTS[fault]
    times = {row: wrong.get(row, START + row) for row in range(40)}
    options = write(
        [f"u{row % 5}\ti{row // 5}\t{time}" for row, time in times.items()],
        f"user_id:token\titem_id:token\ttimestamp:{kind}",
    )
    with pytest.raises(UsageError, match=message):
        create_dataset(Config("BPR", overrides={**options, **WHERE_TIMES_ARE_NEEDED[need]}))


def test_lines_are_those_of_the_file_after_filters_and_blank_lines(write):
    rows = [f"u{row % 5}\ti{row // 5}\t{row % 3}\t{START + row}" for row in range(40)]
    rows[7] = "u1\ti1\t2\t"
    rows[8] = "u1\ti2\t0\t"
    rows[9] = '"u\n1"\ti2\t0\t5'
    rows[20] = "\nu1\ti5\t1\t"
    options = write(rows, "user_id:token\titem_id:token\trating:float\ttimestamp:float")
    options |= {"eval_args": {"order": "TO"}, "load_col": None, "val_interval": {"rating": "[1,inf)"}}
    with pytest.raises(UsageError, match=r"line 9, 24: no time .*\(2 rows\)"):
        create_dataset(Config("BPR", overrides=options))
    options["val_interval"] = {"timestamp": "(-inf,inf)"}  # what the message advises
    assert len(create_dataset(Config("BPR", overrides=options)).inter_feat) == 37


def test_gaps_do_not_matter_where_nothing_is_ordered_by_time(write):
    options = write([f"u{row % 5}\ti{row // 5}\t{'' if row % 3 else row}" for row in range(40)])
    dataset = create_dataset(Config("BPR", overrides={**options, "load_col": None}))
    assert dataset.times is None
    assert dataset.gaps["timestamp"].sum() == 26


def test_leaving_one_out_at_random_is_said(write):
    config = Config("BPR", "ml-100k", overrides={"eval_args": {"split": {"LS": "valid_and_test"}}})
    assert any("LS leaves out rows drawn at random; with order: TO" in note for note in config.notes)
    config = Config("BPR", "ml-100k", overrides={"eval_args": {"split": {"TS": [0.8, 0.1, 0.1]}}})
    assert "eval_args.order is TO: a split TS is in order of time" in config.notes
    assert config["eval_args"]["order"] == config.resolved["eval_args"]["order"] == "TO"


@pytest.mark.parametrize("split", [{"LS": "valid_and_test"}, {"TS": [0.8, 0.1, 0.1]}])
def test_a_grouping_that_the_split_does_not_read_is_said(split):
    def notes(split):
        given = {"eval_args": {"split": split, "group_by": "none"}}
        return [note for note in Config("BPR", "ml-100k", overrides=given).notes if "group_by none" in note]

    assert len(notes(split)) == 1
    assert notes({"RS": [0.8, 0.1, 0.1]}) == []


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (0, "1 row has a time of 0 or less in the column 'timestamp'"),
        (-1, "val_interval: {timestamp: '(0,inf)'}"),
        (START * 1000, "1 row has times up to 1.7e+12 in the column 'timestamp', beside others from 1.7e+09"),
        (START + 5, None),
    ],
)
def test_times_that_can_hardly_be_of_one_clock_are_told_with_their_lines(write, caplog, odd, said):
    rows = [f"u{user}\ti{item}\t{START + item}" for user in range(2) for item in range(5)]
    rows[3] = f"u0\ti3\t{odd}"
    split(write(rows), eval_args={"split": {"LS": "valid_and_test"}, "order": "TO"})
    assert ("toy.inter, line 5: 1 row has " in caplog.text) is (said is not None)
    assert said is None or said in caplog.text


@pytest.mark.parametrize("times", [range(10), [10, 0, 5e6, -3, 1, 2, 3, 4, 5, 6]])
def test_times_that_are_no_dates_are_taken_as_they_are(write, caplog, times):
    rows = [f"u{row // 5}\ti{row % 5}\t{time}" for row, time in enumerate(times)]
    split(write(rows), eval_args={"split": {"LS": "valid_and_test"}, "order": "TO"})
    assert "times up to" not in caplog.text
    assert "0 or less" not in caplog.text


@pytest.mark.parametrize(
    ("later", "unit", "told"),
    [(2**31 - 1, 1, True), (4_102_444_800, 1000, True), (START + 60, 1, False), (None, 1, False)],
    ids=["the largest of 32 bits", "2100 in milliseconds", "a minute later", "all are later"],
)
def test_times_after_today_are_told_with_their_lines(write, caplog, later, unit, told):
    start = START if later else 4_102_444_800  # whose clock should be trusted then?
    times = [start + number for number in range(10)]
    times[3] = later or times[3]
    rows = [f"u{row // 5}\ti{row % 5}\t{time * unit}" for row, time in enumerate(times)]
    split(write(rows), eval_args={"split": {"LS": "valid_and_test"}, "order": "TO"})
    assert (
        "toy.inter, line 5: 1 row has a time after today in the column 'timestamp'" in caplog.text
    ) == told
    assert (f"val_interval: {{timestamp: '(-inf,{times[3] * unit})'}}" in caplog.text) == told


@pytest.mark.parametrize(
    ("form", "told"), [("{day:02}{month:02}2020", True), ("2020{month:02}{day:02}", False)]
)
def test_dates_that_begin_with_the_day_are_told(write, caplog, form, told):
    dates = [form.format(day=1 + 3 * row, month=12 - row) for row in range(10)]
    rows = [f"u{row // 5}\ti{row % 5}\t{date}" for row, date in enumerate(dates)]
    split(write(rows), eval_args={"split": {"LS": "valid_and_test"}, "order": "TO"})
    said = "such as 01122020, look like a day, a month and a year, and eval_args splits by time"
    assert (said in caplog.text) == told
    assert ("write seconds since 1970, or 20201201" in caplog.text) == told


@pytest.mark.parametrize(
    ("split_by", "first", "told"),
    [
        ({"split": {"TS": [0.6, 0.2, 0.2]}}, 0, True),
        ({"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "none"}, 1, True),
        ({"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "user"}, 0, False),
        ({"split": {"LS": "valid_and_test"}, "order": "TO"}, 0, False),
        ({"split": {"TS": [0.6, 0.2, 0.2]}}, START, False),
    ],
)
def test_numbers_of_each_users_rows_are_told_where_one_moment_divides_all(
    write, caplog, split_by, first, told
):
    rows = [f"u{user}\ti{item}\t{first + item}" for user in range(4) for item in range(5 + user)]
    split(write(rows), eval_args=split_by)
    assert ("the times number the rows of each user, from " in caplog.text) == told
