"""A published log that is divided anew: shares, the order of the draw, rows that go, and refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recbole_diffusion.cli.prepare import prepare
from recbole_diffusion.errors import UsageError
from recbole_diffusion.prepare.divided import divided
from recbole_diffusion.prepare.recipes import RECIPES

USERS, ITEMS = 20, 10
LOG = [(str(user), str(item)) for user in range(USERS) for item in range(ITEMS)]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "given").mkdir()
    return tmp_path


def put(here, log, shifted):
    for name, pairs in (("test_iid", log), ("test_ood", shifted)):
        text = "".join(f"{user} {item} 1\n" for user, item in pairs)
        (here / "given" / f"{name}.txt").write_text(text)


def made(here, part):
    text = (here / f"dataset/kuairec_part/kuairec_part.{part}.inter").read_text()
    return [tuple(line.split("\t")) for line in text.splitlines()[1:]]


def test_a_log_is_divided_by_the_draw_of_its_sorted_rows():
    shuffled = [LOG[row] for row in np.random.default_rng(0).permutation(len(LOG))]
    parts = divided(dict.fromkeys(shuffled, ""))
    draw = np.random.default_rng(2026).permutation(len(LOG))
    wanted = {"train": draw[:140], "valid": draw[140:160], "test_iid": draw[160:]}
    assert {part: list(rows) for part, rows in parts.items()} == {
        part: [LOG[row] for row in sorted(rows)] for part, rows in wanted.items()
    }


@pytest.mark.parametrize(("rows", "sizes"), [(7, (5, 1, 1)), (15, (11, 1, 3)), (4, (3, 0, 1))])
def test_shares_are_rounded_half_up(rows, sizes):
    assert tuple(len(part) for part in divided(dict.fromkeys(LOG[:rows], "")).values()) == sizes


def test_held_out_rows_that_train_does_not_know_go(here, capsys):
    # An item of one row each, of which train has seven in ten.
    lonely = [(str(user), str(100 + user)) for user in range(USERS)]
    shifted = [("0", "50"), ("777", "1"), *(("3", item) for user, item in lonely if user != "3")]
    put(here, [*LOG, *lonely], shifted)
    assert prepare(["kuairec_part", "--source=given"]) == 0
    parts = {part: made(here, part) for part in ("train", "valid", "test_iid", "test_ood")}
    items = {item for _, item in parts["train"]}
    assert all(item in items for part in parts.values() for _, item in part)
    lost = json.loads((here / "dataset/kuairec_part/prepare.json").read_text())["unknown"]
    assert lost["train"] == 0 and lost["valid"] + lost["test_iid"] > 0
    assert sum(map(len, parts.values())) + sum(lost.values()) == len(LOG) + len(lonely) + len(shifted)
    # test_ood may be larger than train, as KuaiRec's is.
    assert lost["test_ood"] == len(shifted) - len(parts["test_ood"]) >= 2
    said, warned = capsys.readouterr()
    assert "the files have 220 and 21 pairs, as published 151,878 and 215,729: this is not" in warned
    assert f"test_ood {lost['test_ood']}" in said and "the training part is not published" in said


def test_two_files_with_a_row_in_common_are_refused(here):
    put(here, LOG, LOG[:3])
    with pytest.raises(UsageError, match=r"rows of kuairec_part are in \w+ and in test_ood"):
        prepare(["kuairec_part", "--source=given"])
    assert not (here / "dataset/kuairec_part").exists()


def test_files_under_each_others_names_are_refused(here, monkeypatch):
    recipe = RECIPES["kuairec_part"]
    kind = replace(recipe.kind, published=(140, 60))
    monkeypatch.setitem(RECIPES, "kuairec_part", replace(recipe, kind=kind))
    rows = [LOG[row] for row in np.random.default_rng(0).permutation(len(LOG))]
    put(here, rows[140:], rows[:140])
    with pytest.raises(UsageError, match=r"test_iid.txt and .*test_ood.txt have each other's names"):
        prepare(["kuairec_part", "--source=given"])
    put(here, rows[:140], rows[140:])
    assert prepare(["kuairec_part", "--source=given"]) == 0


def test_a_shifted_part_may_be_larger_than_train(here):
    put(here, LOG[:60], LOG[60:])
    with pytest.raises(UsageError, match="no row is left for test_ood"):  # users 6 to 19 are unknown
        prepare(["kuairec_part", "--source=given"])
    put(here, LOG[::4], [pair for pair in LOG if pair not in LOG[::4]])
    assert prepare(["kuairec_part", "--source=given"]) == 0
    assert len(made(here, "test_ood")) > len(made(here, "train"))
