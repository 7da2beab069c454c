"""KuaiRec: both matrices out of the archive, whatever its folder; views that lasted long enough; times that are not published."""

import math
import zipfile

import pytest
from support.published_files import KUAIREC_HEADER, kuairec_matrix, write_kuairec

from recbole_diffusion.prepare.kuairec import read
from recbole_diffusion.prepare.rows import SourceError

BIG = [(0, 3649, 1593878903.438, 2.0), (0, 9598, 1593879221.297, 1.99), (7, 3649, 1593879000, 5.6)]
SMALL = [(0, 148, "", 2.5), (7, 148, 1593898000.5, 0.3)]


@pytest.mark.parametrize("inside", ["KuaiRec/data", "KuaiRec 2.0/data"])
def test_the_positive_views_of_both_matrices(tmp_path, inside):
    path = write_kuairec(tmp_path, kuairec_matrix(BIG), kuairec_matrix(SMALL), inside)
    found = read({path.name: path}, 2.0)
    pairs = [
        (found.user_tokens[user], found.item_tokens[item])
        for user, item in zip(found.users, found.items, strict=True)
    ]
    assert pairs == [("0", "3649"), ("7", "3649"), ("0", "148")]
    assert found.exposed.tolist() == [False, False, True]
    assert found.time[:2].tolist() == [1593878903.438, 1593879000.0]
    assert math.isnan(found.time[2])
    assert found.read == 5


def test_a_malformed_matrix_names_matrix_and_row(tmp_path):
    big = kuairec_matrix(BIG) + "9,1,1,1,2020-07-05,20200705,1593878903.4,long\n"
    path = write_kuairec(tmp_path, big, kuairec_matrix(SMALL))
    with pytest.raises(
        SourceError, match=r"^KuaiRec 2.0/data/big_matrix.csv, row 4 \(line 5\): found 'long' as watch_ratio"
    ):
        read({path.name: path}, 2.0)
    path = write_kuairec(tmp_path, kuairec_matrix(BIG), KUAIREC_HEADER.replace("video_id", "item") + "\n")
    with pytest.raises(
        SourceError, match=r"small_matrix.csv, its first line: found .*expected user_id, video_id, timestamp"
    ):
        read({path.name: path}, 2.0)


def test_what_is_no_archive_of_both_matrices_is_refused(tmp_path):
    path = tmp_path / "KuaiRec.zip"
    path.write_bytes(b"<html>please log in</html>")
    with pytest.raises(SourceError, match=r"KuaiRec.zip is no readable zip archive .*get it again"):
        read({path.name: path}, 2.0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("KuaiRec/data/big_matrix.csv", kuairec_matrix(BIG))
    with pytest.raises(SourceError, match=r"should hold one small_matrix.csv, found none"):
        read({path.name: path}, 2.0)


def test_a_damaged_archive_is_told(tmp_path):
    path = write_kuairec(tmp_path, kuairec_matrix(BIG * 500), kuairec_matrix(SMALL))
    raw = bytearray(path.read_bytes())
    raw[200:260] = bytes(60)
    path.write_bytes(raw)
    with pytest.raises(SourceError, match=r"no readable zip archive|KuaiRec 2.0/data/big_matrix.csv, row"):
        read({path.name: path}, 2.0)
