"""Files whose column x_label says the part of each row."""

import pytest

from recbole_diffusion.data.labelled import is_labelled, read_labelled
from recbole_diffusion.errors import UsageError


@pytest.fixture
def write(tmp_path):
    def written(rows, header="userID\titemID\trating\tx_label"):
        path = tmp_path / "baby.inter"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return written


def test_rows_come_by_part(write):
    path = write(["a\tx\t1\t2", "b\ty\t1\t0", "c\tz\t1\t1", "a\ty\t1\t0"])
    assert is_labelled(path)
    frame, sizes = read_labelled(path, "user_id", "item_id")
    assert sizes == [2, 1, 1]
    assert frame.to_dict("list") == {"user_id": ["b", "a", "c", "a"], "item_id": ["y", "y", "z", "x"]}


def test_atomic_files_are_not_taken_for_labelled_ones(write, tmp_path):
    assert not is_labelled(write([], "user_id:token\titem_id:token\tx_label:float"))
    assert not is_labelled(tmp_path / "none.inter")


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (
            ["a\tx\t1\t3", "a\tx\t1\t0"],
            "userID\titemID\trating\tx_label",
            "line 2: x_label is none of 0, 1, 2",
        ),
        (["a\tx\t1\t0", "\tx\t1\t0"], "userID\titemID\trating\tx_label", "line 3: a user or item is missing"),
        (["a\tx\t1\t0", "a\tx\t1\t2"], "userID\titemID\trating\tx_label", "no row of part valid"),
        (["a\tx\t1\t0\tmore"], "userID\titemID\trating\tx_label", "baby.inter cannot be read: "),
        (
            ["a\tx\t1\t0", "a\tx\t1\t0\tmore"],
            "userID\titemID\trating\tx_label",
            "cannot be read: .* line 3, saw 5",
        ),
        (["a\tx\t1\t0"], "who\titemID\trating\tx_label", "has no column userID or user_id, only who, itemID"),
    ],
)
def test_faults_are_named(write, rows, header, message):
    with pytest.raises(UsageError, match=message):
        read_labelled(write(rows, header), "user_id", "item_id")
