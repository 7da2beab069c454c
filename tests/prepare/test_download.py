"""A download: whole, resumed, refused, or from the next mirror; afterwards the file is whole or not there."""

import hashlib
import random

import pytest
from support.range_server import running_mirror

from recbole_diffusion.errors import RunError
from recbole_diffusion.prepare import download as module
from recbole_diffusion.prepare.download import download
from recbole_diffusion.prepare.recipe import SourceFile

CONTENT = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(300_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def mirror(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running_mirror() as server:
        yield server


def fetch(folder, *urls, **expected):
    file = SourceFile("set.bin", page="https://example.org/set", urls=urls, **expected)
    return download(file, folder, attempts=3, timeout=5, wait=0)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_whole_file_and_nothing_else(mirror, tmp_path):
    path = fetch(tmp_path / "new", mirror.serve("/set", CONTENT), size=len(CONTENT), sha256=SHA)
    assert path == tmp_path / "new/set.bin"
    assert path.read_bytes() == CONTENT
    assert names_in(path.parent) == ["set.bin"]
    assert mirror.requests == [("/set", 0)]


def test_a_connection_that_breaks_is_continued_where_it_broke(mirror, tmp_path):
    url = mirror.serve("/set", CONTENT, cuts=[100_000, 50_000])
    assert fetch(tmp_path, url, sha256=SHA).read_bytes() == CONTENT
    assert mirror.requests == [("/set", 0), ("/set", 100_000), ("/set", 150_000)]


def test_a_later_command_continues_the_part_that_an_earlier_one_has_left(mirror, tmp_path):
    url = mirror.serve("/set", CONTENT, cuts=[1000, 2000, 3000])
    with pytest.raises(RunError, match=r"the connection ended after 6,000 of 300,000 bytes"):
        fetch(tmp_path, url)
    assert names_in(tmp_path) == ["set.bin.part", "set.bin.part.json"]
    assert (tmp_path / "set.bin.part").read_bytes() == CONTENT[:6000]
    assert fetch(tmp_path, url).read_bytes() == CONTENT
    assert mirror.requests[-1] == ("/set", 6000)
    assert names_in(tmp_path) == ["set.bin"]


def test_a_part_that_is_whole_already_is_taken(mirror, tmp_path):
    url = mirror.serve("/set", CONTENT, cuts=[10])
    with pytest.raises(RunError):
        download(SourceFile("set.bin", "page", (url,)), tmp_path, attempts=1, timeout=5, wait=0)
    (tmp_path / "set.bin.part").write_bytes(CONTENT)
    assert fetch(tmp_path, url).read_bytes() == CONTENT
    assert mirror.requests == [("/set", 0), ("/set", 300_000)]


@pytest.mark.parametrize(
    "how", [{"etag": '"2"'}, {"ranges": False}, {"etag": ""}], ids=["new version", "no ranges", "no version"]
)
def test_bytes_of_two_versions_are_never_joined(mirror, tmp_path, how):
    url = mirror.serve("/set", CONTENT, cuts=[1000])
    with pytest.raises(RunError):
        download(SourceFile("set.bin", "page", (url,)), tmp_path, attempts=1, timeout=5, wait=0)
    mirror.serve("/set", OTHER, **how)
    assert fetch(tmp_path, url).read_bytes() == OTHER


@pytest.mark.parametrize("etag", ["", 'W/"1"'], ids=["none", "weak"])
def test_without_a_strong_version_a_broken_download_starts_over(mirror, tmp_path, etag):
    url = mirror.serve("/set", CONTENT, cuts=[1000], etag=etag)
    assert fetch(tmp_path, url).read_bytes() == CONTENT
    assert mirror.requests == [("/set", 0), ("/set", 0)]


def test_the_part_of_one_mirror_is_not_continued_from_another(mirror, tmp_path):
    first, second = mirror.serve("/first", OTHER, cuts=[7, 7, 7]), mirror.serve("/second", CONTENT)
    assert fetch(tmp_path, first, second).read_bytes() == CONTENT
    assert mirror.requests[-1] == ("/second", 0)


def test_a_dead_mirror_does_not_cost_what_another_has_given(mirror, tmp_path):
    first, dead = mirror.serve("/first", CONTENT, cuts=[10, 20, 30]), mirror.url("/nothing")
    with pytest.raises(RunError):
        fetch(tmp_path, first, dead)
    assert fetch(tmp_path, first, dead).read_bytes() == CONTENT
    assert mirror.requests[-1] == ("/first", 60)


def test_a_dead_first_mirror_is_passed_over(mirror, tmp_path, caplog):
    dead, living = mirror.url("/nothing"), mirror.serve("/set", CONTENT)
    assert fetch(tmp_path, dead, living, sha256=SHA).read_bytes() == CONTENT
    assert mirror.requests == [("/nothing", 0), ("/set", 0)]  # 404 does not pass by waiting
    assert f"cannot get set.bin from {dead}: HTTP status 404" in caplog.text


def test_a_server_that_is_not_there_is_passed_over(mirror, tmp_path):
    with running_mirror() as gone:
        address = gone.url("/set")
    assert fetch(tmp_path, address, mirror.serve("/set", CONTENT)).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(mirror, tmp_path):
    url = mirror.serve("/set", CONTENT, failures=[503, 429])
    assert fetch(tmp_path, url).read_bytes() == CONTENT
    assert len(mirror.requests) == 3


def test_nowhere_to_be_had_names_every_address_and_leaves_nothing(mirror, tmp_path):
    first, second = mirror.url("/one"), mirror.url("/two")
    with pytest.raises(RunError, match=r"no address has set\.bin") as caught:
        fetch(tmp_path, first, second)
    assert f"{first}: HTTP status 404" in str(caught.value)
    assert f"{second}: HTTP status 404" in str(caught.value)
    assert names_in(tmp_path) == []


WRONG = {
    "sha256": ({"sha256": SHA}, rf"has the SHA256 {hashlib.sha256(OTHER).hexdigest()}, expected {SHA}"),
    "md5": ({"md5": hashlib.md5(CONTENT).hexdigest()}, "has the MD5"),
    "size": ({"size": 300_001}, r"serves 300,000 bytes, expected 300,001"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_and_removed(mirror, tmp_path, case):
    expected, message = WRONG[case]
    with pytest.raises(RunError, match=message):
        fetch(tmp_path, mirror.serve("/set", OTHER), **expected)
    assert names_in(tmp_path) == []
    assert len(mirror.requests) == 1  # the same address would give the same file again


def test_after_a_wrong_file_the_next_mirror_is_asked_for_the_whole(mirror, tmp_path):
    urls = mirror.serve("/wrong", OTHER), mirror.serve("/right", CONTENT)
    assert fetch(tmp_path, *urls, sha256=SHA.upper()).read_bytes() == CONTENT
    assert mirror.requests == [("/wrong", 0), ("/right", 0)]


def test_a_full_disk_is_told_and_keeps_what_is_there(mirror, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_append", full)
    with pytest.raises(RunError, match=r"cannot write .*set.bin: No space left on device; free some space"):
        fetch(tmp_path, mirror.serve("/set", CONTENT), mirror.serve("/other", CONTENT))
    assert mirror.requests == [("/set", 0)]
