"""Recommending to cold users: those of the run, and new ones by their ratings in the source domain."""

import shutil

import pandas as pd
import pytest

from recbole_diffusion import load_run, run
from recbole_diffusion.cli import main as cli
from recbole_diffusion.errors import RunError
from recbole_diffusion.testing import FAST
from recbole_diffusion.testing.two_domains import make_two_domains


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of EMCDR on two domains of one taste."""
    place = tmp_path_factory.mktemp("cold")
    options = {
        **make_two_domains(place).overrides,
        **FAST,
        "learning_rate": 0.01,
        "train_batch_size": 16,
        "epochs": 25,
        "mf_epochs": 12,
        "warm_start_share": 0.0,
        "run_dir": str(place / "run"),
    }
    run("EMCDR", overrides=options)
    return place / "run"


@pytest.fixture
def ask(folder, tmp_path, capsys):
    """Return a function that runs the command on a file of histories and returns its text."""

    def recommend(lines, *words, code=0):
        (tmp_path / "new").write_text(
            "\n".join(["user_id:token\titem_id:token\trating:float", *lines]) + "\n"
        )
        asked = [
            "recommend",
            f"--run={folder}",
            f"--histories={tmp_path / 'new'}",
            f"--output={tmp_path / 'out.csv'}",
            *words,
        ]
        assert cli.main(asked) == code
        text = capsys.readouterr()
        return text.err if code else text.out

    return recommend


def parity(lists):
    return lists["item"].str[1:].astype(int) % 2


def test_new_users_get_films_by_their_books(ask, tmp_path):
    likes = [f"odd\ti{item}\t{5 if item % 2 else 1}" for item in range(20)]
    likes += [f"even\ti{item}\t{1 if item % 2 else 5}" for item in range(20)]
    text = ask([*likes, "odd\ti99\t5", "lost\tfilm\t3"], "--k=10")
    assert "20 rows for 2 users" in text
    assert "2 of 42 rows name 2 unknown items; 1 user has no known item and no list" in text
    assert (tmp_path / "out.csv.unknown.txt").read_text() == "user\tlost\nitem\tfilm\nitem\ti99\n"
    lists = pd.read_csv(tmp_path / "out.csv")
    assert parity(lists[lists["user"] == "odd"]).mean() > 0.85
    assert parity(lists[lists["user"] == "even"]).mean() < 0.15


def test_cold_users_of_the_run_have_lists(folder):
    trained = load_run(folder)
    cold = trained.users.tokens[trained.dataset.test_users.numpy()]
    lists = trained.recommend(cold, k=10, exclude="history")
    right = [item % 2 == int(user[1:]) % 2 for user, item in zip(lists["user"], parity(lists), strict=True)]
    assert len(lists) == 10 * len(cold)
    assert sum(right) / len(right) > 0.85


def test_unknown_users_of_the_source_alone_are_told_as_such(folder, tmp_path, capsys, caplog):
    trained = load_run(folder)
    source = trained.dataset.source
    alone = sorted(set(source.field2id_token[source.uid_field][1:]) - set(trained.users.tokens[1:]))
    asked = [alone[0], trained.users.tokens[1], "nobody"]
    trained.recommend(asked, k=2)
    told = f"1 of the 2 unknown users is in the source domain alone ({alone[0]}); give their ratings there as"
    assert told in caplog.text
    (tmp_path / "users").write_text("\n".join(asked))
    words = [f"--run={folder}", f"--users={tmp_path / 'users'}", f"--output={tmp_path / 'lists.csv'}"]
    assert cli.main(["recommend", *words]) == 0
    assert told in capsys.readouterr().out


def test_new_users_of_two_domains_are_not_known_whatever_is_kept(folder, tmp_path, capsys):
    words = [f"--run={folder}", "--all", "--new_users", f"--output={tmp_path / 'lists.csv'}"]
    assert cli.main(["recommend", *words]) == 2
    said = capsys.readouterr().err
    assert "has two domains, of which no ids are kept" in said and "keep_rows" not in said


def test_wrong_source_histories_are_refused(ask, tmp_path):
    said = ask(["me\tx1\t5"], code=2)
    assert "has an item of the run's source domain (first: x1); it takes original ids, such as 'i" in said
    assert "1 rating of the histories is outside the scale 1 to 5 of the run's source domain" in ask(
        ["me\ti1\t9"], code=2
    )
    assert "rate an item a second time: user me, item i1" in ask(["me\ti1\t5", "me\ti1\t4"], code=2)
    (tmp_path / "new").unlink()
    assert list(tmp_path.iterdir()) == []


def test_another_source_domain_is_refused(folder, tmp_path):
    """Its users and items have other numbers, while the target domain is the same."""
    data = shutil.copytree(folder.parent / "data", tmp_path / "data")
    head, *rows = (data / "books/books.inter").read_text().splitlines()
    (data / "books/books.inter").write_text("\n".join([head, *reversed(rows)]) + "\n")
    with pytest.raises(RunError, match="users and items had other ids"):
        load_run(folder, data_path=str(data))
