"""The service: one real process, its answers, what it refuses, and a new run without a pause."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from recbole_diffusion.cli import main as cli
from recbole_diffusion.cli.serve import _listening
from recbole_diffusion.evaluation.search import VectorSearch
from recbole_diffusion.serving.scoring import best_settled

ROOT = Path(__file__).resolve().parents[2]


class Service:
    """A process of ``serve`` whose run is behind a link."""

    def __init__(self, folder, run):
        self.link = folder / "current"
        self.point(run)
        words = ["serve", f"--run={self.link}", "--port=0", "--watch=0.05", "--use_gpu=false"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recbole_diffusion", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        self.first = self.process.stdout.readline()
        assert self.first, self.process.communicate()[1]
        self.port = int(self.first.rpartition(":")[2])

    def point(self, run):
        draft = self.link.with_name("draft")
        draft.symlink_to(run, target_is_directory=True)
        draft.replace(self.link)

    def ask(self, path, body=None, method=None):
        """Return status and content of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        text = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method or ("GET" if body is None else "POST"), path, text, headers)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    def wait_for(self, name, value):
        """Return ``/health`` as soon as it has a value."""
        for _ in range(3000):  # seconds alone; minutes on a busy machine
            if (health := self.ask("/health")[1])[name] == value:
                return health
            time.sleep(0.05)
        raise AssertionError(health)


@pytest.fixture(scope="module")
def service(folder_of, tmp_path_factory):
    """The process of all tests of this file; tests that change its run come last."""
    one = Service(tmp_path_factory.mktemp("service"), folder_of("TVDiff"))
    yield one
    one.process.kill()
    one.process.communicate()


def table(frame):
    """Return lists by user of a table of ``recommend``."""
    return {user: (rows["item"].tolist(), rows["score"].tolist()) for user, rows in frame.groupby("user")}


def assert_lists(found, frame):
    expected = table(frame)
    assert {one["user"] for one in found} == expected.keys()
    for one in found:
        items, scores = expected[one["user"]]
        assert one["items"] == items
        assert one["scores"] == pytest.approx(scores, rel=1e-5, abs=1e-7)


def test_the_service_says_where_it_is_and_what_it_serves(service, loaded):
    run = loaded("TVDiff")
    assert service.first.startswith("serving TVDiff on mine, 40 users and 60 items, ")
    assert "http://127.0.0.1:" in service.first
    status, health = service.ask("/health")
    assert status == 200
    told = {name: health[name] for name in ("status", "run", "model", "dataset", "users", "items")}
    assert list(told.values()) == ["ok", run.folder.path.name, "TVDiff", "mine", 40, 60]
    assert 0 <= health["age_seconds"] < 3600 and len(health["revision"]) == 16
    assert health["reload_failed"] is None


def test_lists_are_those_of_recommend_for_all_users_asked_at_once(service, loaded):
    expected = loaded("TVDiff").recommend(k=7)
    users = loaded("TVDiff").users.tokens[1:].tolist()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda user: service.ask(f"/recommend?user={user}&k=7"), users))
    assert {status for status, _ in answers} == {200}
    assert_lists([found for _, found in answers], expected)
    assert {found["run"] for _, found in answers} == {loaded("TVDiff").folder.path.name}
    status, found = service.ask("/recommend", {"users": users, "k": 7})
    assert status == 200 and found["unknown_users"] == []
    assert_lists(found["lists"], expected)


def test_lists_of_different_lengths_are_ranked_together(service, loaded):
    with ThreadPoolExecutor(8) as threads:
        lengths = [1, 60, 3, 20, 2, 59]
        answers = list(threads.map(lambda k: service.ask(f"/recommend?user=u7&k={k}")[1]["items"], lengths))
    longest = loaded("TVDiff").recommend(["u7"], k=60)["item"].tolist()
    assert len(longest) == 3  # all that u7 has not had
    assert answers == [longest[:k] for k in lengths]


def test_histories_are_folded_in_beside_known_users(service, loaded):
    run, histories = loaded("TVDiff"), {"me": ["ü1", "ü2"], "u3": ["ü5", "ü6", "ü6"]}
    status, found = service.ask(
        "/recommend", {"users": ["u1", "nobody"], "histories": {**histories, "odd": ["x"]}, "k": 4}
    )
    assert status == 200
    assert_lists(found["lists"][:1], run.recommend(["u1"], k=4))
    assert_lists(found["lists"][1:], run.recommend_new(histories, k=4))
    assert (found["unknown_users"], found["unknown_items"]) == (["nobody", "odd"], ["x"])
    status, found = service.ask("/recommend", {"users": ["u1"], "histories": {"odd": ["\ud800"], "new": []}})
    assert (status, [one["user"] for one in found["lists"]]) == (200, ["u1"])
    assert (found["unknown_users"], found["unknown_items"]) == (["odd", "new"], ["\ud800"])
    histories = {"without a name": ["ü5"], "": ["ü6"]}
    found = service.ask("/recommend", {"histories": histories, "history": ["ü1", "ü2"]})[1]["lists"]
    assert [one["user"] for one in found] == ["without a name", "", None]
    assert found[2]["items"] == run.recommend_new({"me": ["ü1", "ü2"]})["item"].tolist()
    status, found = service.ask("/recommend", {"history": ["ü1", "ü2"]})
    (one,) = found["lists"]
    assert one["user"] is None
    assert one["items"] == run.recommend_new({"me": ["ü1", "ü2"]})["item"].tolist()


@pytest.mark.parametrize(
    ("path", "body", "code", "words"),
    [
        ("/recommend?user=nobody", None, 404, "user 'nobody' is not in the data of the run run-TVDiff"),
        (
            "/recommend?user=u1&k=0",
            None,
            422,
            "k is 0, but the run's data set has 60 items; it takes 1 to 60",
        ),
        ("/recommend?user=u1&k=61", None, 422, "it takes 1 to 60"),
        ("/recommend?user=u1&k=many", None, 422, "k: Input should be a valid integer"),
        *(
            (f"/recommend?user=u1&k={text}", None, 422, "k: Input should be a valid integer, written as 10")
            for text in ("1_0", "+10", "%D9%A1%D9%A0", "1e1", "10.0", "")
        ),
        ("/recommend?user=u1&k=%2B1" + "0" * 30, None, 422, "it takes 1 to 60"),
        ("/recommend", None, 422, "user: Field required"),
        ("/recommend?user=u1&topk=5", None, 422, "topk: Extra inputs are not permitted"),
        ("/recommend?user=u1&user=u2", None, 422, "POST /recommend takes several users"),
        ("/recommend", {"users": ["a", "b"]}, 404, "none of 2 users is in the data of the run"),
        ("/recommend", {}, 422, "the request names no user; give users, histories or a history"),
        ("/recommend", {"history": ["x"]}, 422, "no user of the histories has an item"),
        ("/recommend", {"users": ["u1"], "k": True}, 422, "k: Input should be a valid integer"),
        (
            "/recommend",
            {"users": ["u1"] * 1025},
            422,
            "1,025 lists of 20 are asked for; a request takes 1,024",
        ),
        ("/recommend", {"history": []}, 422, "the histories have no item; give one at least"),
        ("/recommend", {"history": ["\ud800"]}, 422, "no user of the histories has an item"),
        ("/recommend", {"history": {"ü1": True}}, 422, "Input should be a valid number"),
        ("/recommend", {"history": {"ü1": float("nan")}}, 422, "the body has NaN, which is not JSON"),
        ("/recommend", '{"users": ["u1"], "users": ["u2"]}', 422, "the body names 'users' twice"),
        ("/recommend", '{"history": {"a": 4, "a": 5}}', 422, "the body names 'a' twice in one object"),
        ("/recommend", '{"users"', 422, "the body is not JSON"),
        ("/recommend", b'{"users": ["\xff"]}', 422, "the body is not JSON that can be read: it is no UTF-8"),
        ("/recommend", '{"users": ' + "[" * 10**5, 422, "or lists are nested too deep"),
        ("/recommend", '{"users": ["u1"], "k": 1' + "0" * 5000 + "}", 422, "a number has too many digits"),
        (
            "/recommend",
            b'{"users": ["' + b"u" * 2**22 + b'"]}',
            413,
            "the body is longer than 4,194,304 bytes",
        ),
        ("/recommend?k=3", {"users": ["u1"]}, 422, "POST /recommend takes no query, 'k=3' is given"),
        ("/recommend", {"users": [1.0]}, 422, "users.0: Input should be a text or a whole number"),
        ("/recommend", {"history": [None]}, 422, "history.0: Input should be a text or a whole number"),
        ("/recommend", {"histories": {"str": {"ü1": "4"}}}, 422, "histories.str.ü1: Input should be a valid"),
        ("/docs", None, 404, "there is no GET /docs; there are GET and POST /recommend and GET /health"),
        ("/health", {}, 405, "there is no POST /health; there are GET"),
    ],
)
def test_a_wrong_request_is_told_in_one_sentence(service, path, body, code, words):
    status, found = service.ask(path, body)
    assert status == code
    assert list(found) == ["detail"]
    assert words in found["detail"] and "\n" not in found["detail"]


@pytest.mark.parametrize(
    ("path", "code"), [("/health", 200), ("/recommend?user=u1", 200), ("/recommend", 422)]
)
def test_the_head_of_an_answer_comes_alone(service, path, code):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("HEAD", path)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (code, b"")
    assert int(answer.getheader("Content-Length")) > 0
    connection.close()


def test_a_body_without_its_type_is_told(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    connection.request("POST", "/recommend", '{"users": ["u1"]}')
    answer = connection.getresponse()
    assert answer.status == 422
    assert "without the header Content-Type: application/json" in json.loads(answer.read())["detail"]
    connection.close()


def test_what_cannot_be_served_is_told_in_one_line(service, folder_of, tmp_path, capsys, monkeypatch):
    def refused(*words):
        assert cli.main(["serve", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    run = f"--run={folder_of('BPR')}"
    capsys.readouterr()
    assert f"cannot listen on port {service.port} of 127.0.0.1: Address already in use" in refused(
        run, f"--port={service.port}"
    )
    assert "cannot listen on port 0 of no.such.host.invalid" in refused(
        run, "--host=no.such.host.invalid", "--port=0"
    )
    assert "--run is missing" in refused("--port=0")
    assert f"no run in {tmp_path}" in refused(f"--run={tmp_path}", "--port=0")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'recbole-diffusion[service]'" in refused(run)


def test_a_link_that_leads_to_another_run_is_followed_without_a_pause(service, folder_of, loaded, tmp_path):
    codes, stop = [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            codes.append(service.ask("/recommend?user=u1&k=3")[0])
            time.sleep(0.02)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    (tmp_path / "broken").mkdir()
    for name in ("config.yaml", "result.json"):
        (tmp_path / "broken" / name).write_text("{")
    service.point(tmp_path / "broken")
    for _ in range(600):
        if failed := service.ask("/health")[1]["reload_failed"]:
            break
        time.sleep(0.05)
    assert f"the run in {tmp_path / 'broken'} cannot be used" in failed
    service.point(tmp_path / "nowhere")
    for _ in range(600):
        if "nowhere" in (failed := service.ask("/health")[1]["reload_failed"] or ""):
            break
        time.sleep(0.05)
    assert failed == f"{service.link} leads to {tmp_path / 'nowhere'}, which is not there"
    service.point(folder_of("BPR"))
    assert service.wait_for("model", "BPR")["reload_failed"] is None
    stop.set()
    asking.join()
    assert set(codes) == {200} and len(codes) > 5
    users = loaded("BPR").users.tokens[1:].tolist()
    assert_lists(service.ask("/recommend", {"users": users})[1]["lists"], loaded("BPR").recommend(k=20))
    status, found = service.ask("/recommend", {"history": ["ü1"]})
    assert status == 409
    assert "BPR as trained here only knows its training users" in found["detail"]


def test_a_signal_ends_the_service_with_the_answers_that_it_owes(service):
    with socket.create_connection(("127.0.0.1", service.port)) as half:
        half.sendall(b"GET /recommend?user=u1&k=3 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert half.recv(12) == b"HTTP/1.1 200"
        service.process.send_signal(signal.SIGTERM)
        out, err = service.process.communicate(timeout=60)
    assert service.process.returncode == 0
    assert "serving BPR on mine, 40 users and 60 items" in out
    errors = [line for line in err.splitlines() if line.startswith("error")]
    assert len(errors) == 2
    assert all("run-TVDiff stays in service" in error for error in errors)
    with pytest.raises(ConnectionRefusedError):
        service.ask("/health")


def test_scores_that_rounding_may_have_ordered_are_put_in_the_order_of_exact_ones():
    """Items 1 and 2 differ by less than float32 shows in their sums of large parts that cancel."""
    items = torch.tensor([[0, 0, 0], [4096, 1.0, 4096], [4096, 1.0001, 4096], [1, 0, 0], [2, 0, 0]])
    users = torch.tensor([[4096.0, 1.0, -4096.0]]).repeat(3, 1)
    values, found = best_settled(VectorSearch(items), users, torch.arange(1, 4), 3, None)
    assert found.tolist() == [[4, 3, 2]] * 3
    assert values[0].tolist() == pytest.approx([8192, 4096, 1.0001])
    cells = torch.tensor([0, 1]), torch.tensor([4, 2])
    found = best_settled(VectorSearch(items), users, torch.arange(1, 4), 3, cells)[1]
    assert found.tolist() == [[3, 2, 1], [4, 3, 1], [4, 3, 2]]


def test_answers_leave_at_once():
    """asyncio sends small packets at once only where a socket names its protocol; else answers wait 40 ms."""
    with _listening("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
