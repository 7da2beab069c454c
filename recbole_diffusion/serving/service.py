"""A run behind HTTP (FastAPI): lists of known and of new users, ranked together as requests come in.

One process serves one run for its life; ``cli/serve.py`` starts it, and another when the run changes. One
thread ranks; requests that come meanwhile are its next batch, so that none is held back to wait for others.

Longer than most files: requests, their batches and their answers in the order they take.
"""

import asyncio
import collections
import datetime
import hashlib
import http
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pandas as pd
from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, StrictFloat, StrictInt, StrictStr
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException as HTTPError

from recbole_diffusion.errors import RunError, UsageError, counted
from recbole_diffusion.options.whole_number import whole_number
from recbole_diffusion.serving.histories import NewUsers, joined
from recbole_diffusion.serving.ranking import check_k
from recbole_diffusion.serving.recommend import ListMaker, users_of_histories
from recbole_diffusion.serving.scoring import check_takes_histories
from recbole_diffusion.storage.versions import __version__

TOGETHER = 64  # users of a batch
MOST_USERS, MOST_PLACES = 1024, 2**20  # of a request: users, and places of all its lists
MOST_WAITING = 4096  # users of requests that wait; more are turned away
MOST_BYTES = 2**22  # of the body of a request
REQUESTS = "GET and POST /recommend and GET /health"
Token = StrictStr | StrictInt
History = list[Token] | dict[str, StrictFloat]  # items, or their ratings


def _of_query(text: Any) -> Any:
    """Return the number of a query's text; pydantic takes ``1_0``, `` 10`` and ``10.0`` for 10.

    Raises:
        PydanticCustomError: it is none.
    """
    found = whole_number(text) if isinstance(text, str) else text
    if found is None and text is not None:
        raise PydanticCustomError("no_number", "Input should be a valid integer, written as 10")
    return found


class OneUser(BaseModel):
    """The query of ``GET /recommend``."""

    model_config = ConfigDict(extra="forbid")
    user: str
    k: Annotated[int | None, BeforeValidator(_of_query)] = None


class SeveralUsers(BaseModel):
    """The body of ``POST /recommend``: users of the data, or others by their histories."""

    model_config = ConfigDict(extra="forbid")
    users: list[Token] = []
    histories: dict[str, History] = {}
    history: History | None = None
    k: StrictInt | None = None


@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    Attributes:
        users: original ids of known users, or of new ones in the data.
        histories: items or ratings of new users, by any name; None is somebody without one.
        k: length of a list.
    """

    users: Sequence[str]
    histories: Mapping[str | None, History]
    k: int

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.users) + len(self.histories)


@dataclass(frozen=True)
class Answer:
    """The lists of a request, ``user``, ``items`` and ``scores`` each, and the ids that have none."""

    lists: list[dict[str, Any]]
    unknown_users: list[str]
    unknown_items: list[str]


@dataclass(frozen=True)
class _Plan:
    """A request in internal numbers, and its answer, which grows.

    Attributes:
        asked: the request.
        numbers: known users, int64 [n].
        new: others, by their histories; None for none.
        names: what both are called, first those of ``numbers``, then those of ``new``.
        answer: the lists that are made by now.
    """

    asked: Asked
    numbers: np.ndarray
    new: NewUsers | None
    names: tuple[list[str], list[str | None]]
    answer: Answer


class AnsweringRun:
    """A loaded run that answers requests, several at once.

    Attributes:
        run: the run.
        new: users who are new in the data, with a known item there; None if there are none, or the model
            takes no histories.

    Args:
        run: a ``LoadedRun``.
        exclude: items left out of lists, one of ``ranking.EXCLUDED``.

    Raises:
        UsageError: ``exclude`` needs data that has changed.
        RunError: the scores of known users need data that has changed.
    """

    def __init__(self, run: Any, exclude: str) -> None:
        self.run, self.lists = run, ListMaker(run, exclude)
        self.together = self.lists.prepare()
        self.new = None
        if run.model.takes_histories and run.changed.new is not None and len(rows := run.new_users()):
            self.new = users_of_histories(run, rows)
        self._rows_of_new = {} if self.new is None else {token: r for r, token in enumerate(self.new.tokens)}

    def answer(self, batch: Sequence[Asked]) -> list[Answer | Exception]:
        """Return the answer to each request of a batch, or what is wrong with it."""
        plans = [self._plan(asked) for asked in batch]
        wrong: dict[int, Exception] = {}
        for new in (False, True):
            wanted = [plan for plan in plans if isinstance(plan, _Plan) and plan.names[new]]
            for group in [wanted] if self.together[new] and wanted else [[plan] for plan in wanted]:
                try:
                    self._rank(group, new)
                except (UsageError, RunError) as error:
                    wrong |= {id(plan): error for plan in group}
        return [wrong.get(id(plan), plan.answer) if isinstance(plan, _Plan) else plan for plan in plans]

    def _plan(self, asked: Asked) -> _Plan | Exception:
        """Return a request in internal numbers, or what is wrong with it."""
        numbers = self.run.users.numbers_of(asked.users)
        known = [user for user, number in zip(asked.users, numbers, strict=True) if number]
        others = [user for user, number in zip(asked.users, numbers, strict=True) if not number]
        in_data = [user for user in others if user in self._rows_of_new]
        unknown = [user for user in others if user not in self._rows_of_new]
        names: list[str | None] = [*in_data]
        parts = [self.new.take([self._rows_of_new[user] for user in in_data])] if self.new and in_data else []
        answer = Answer([], unknown, [])
        if asked.histories:
            try:
                labels = _labels(asked.histories)
                histories = dict(zip(labels, asked.histories.values(), strict=True))
                users = self._histories(histories, bool(known or in_data))
            except (UsageError, RunError, HTTPException) as error:
                return error
            parts += [users] if len(users) else []
            names += [labels[token] for token in users.tokens]
            listed = set(users.tokens)
            # Also those whose history is empty.
            unknown += [labels[label] or "" for label in labels if label not in listed]
            answer.unknown_items.extend(users.unknown_items)
        if not known and not names:
            return HTTPException(404, self._nobody(unknown))
        return _Plan(asked, numbers[numbers > 0], joined(parts) if parts else None, (known, names), answer)

    def _nobody(self, users: Sequence[str]) -> str:
        who = f"user {users[0]!r} is not" if len(users) == 1 else f"none of {len(users)} users is"
        known = f"{who} in the data of the run {self.run.folder.path.name}"
        if not self.run.model.takes_histories:
            return known
        return f"{known}; POST /recommend takes what a new user has as a history"

    def _histories(self, histories: Mapping[str, History], beside_others: bool) -> NewUsers:
        """Return the users of histories by label.

        ``beside_others``: whether others of the request have lists, so that none is needed here.
        """
        try:
            check_takes_histories(self.run.model)
        except UsageError as error:
            raise HTTPException(409, str(error)) from error
        rows: list[tuple[str, str, float]] = []
        for label, history in histories.items():
            if isinstance(history, Mapping):
                rows += [(label, item, rating) for item, rating in history.items()]
            elif self.run.model.predicts_ratings and history:
                raise UsageError(
                    "a history has no ratings, but this model reads ratings; give one for each item, such as "
                    '{"item": 4}'
                )
            else:
                rows += [(label, str(item), math.nan) for item in history]
        frame = pd.DataFrame(rows, columns=["user", "item", "rating"])
        return users_of_histories(self.run, frame, may_be_none=beside_others)

    def _rank(self, plans: Sequence[_Plan], new: bool) -> None:
        """Add the lists of known or of new users to the answers of some requests, which are ranked as one."""
        k = max(plan.asked.k for plan in plans)
        if new:
            blocks = self.lists.new(joined([plan.new for plan in plans if plan.new is not None]), k)
        else:
            blocks = self.lists.known(np.concatenate([plan.numbers for plan in plans]), k)
        rows = (
            (items, scores) for one in blocks for items, scores in zip(one.items, one.scores, strict=True)
        )
        for plan in plans:
            # As many rows as the plan has users; a list is the beginning of each longer one.
            for name, (items, scores) in zip(plan.names[new], rows, strict=False):
                listed = np.flatnonzero(items[: plan.asked.k])
                tokens = self.run.items.tokens[items[listed]].tolist()
                rounded = [float(f"{score:.8g}") for score in scores[listed].tolist()]
                plan.answer.lists.append({"user": name, "items": tokens, "scores": rounded})


def _labels(names: Iterable[str | None]) -> dict[str, str | None]:
    """Return the names by a label each: themselves, and one of its own for somebody without a name."""
    there = set(names)
    nameless = next(word for k in itertools.count() if (word := "without a name" + "." * k) not in there)
    return {nameless if name is None else name: name for name in names}


class Batches:
    """Requests that wait for a ranking, and the thread that ranks.

    Args:
        answer: from requests to their answers.
    """

    def __init__(self, answer: Callable[[Sequence[Asked]], list[Any]]) -> None:
        self._answer = answer
        self._waiting: list[tuple[Asked, asyncio.Future]] = []
        self._thread = ThreadPoolExecutor(1, "ranking")
        self._worker: asyncio.Task | None = None

    async def ask(self, asked: Asked) -> Answer:
        """Return the answer to a request.

        Raises:
            HTTPException: too many requests wait, or no user of this one is known.
            UsageError: the request cannot be met.
            RunError: the model gives scores that are not finite.
        """
        if sum(len(one) for one, _ in self._waiting) + len(asked) > MOST_WAITING:
            raise HTTPException(503, "too many requests are waiting; ask again later", {"Retry-After": "1"})
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        """Answer what waits, batch by batch."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            sizes = itertools.accumulate(len(asked) for asked, _ in self._waiting)
            several = max(1, sum(size <= TOGETHER for size in sizes))
            batch, self._waiting = self._waiting[:several], self._waiting[several:]
            try:
                answers = await loop.run_in_executor(
                    self._thread, self._answer, [asked for asked, _ in batch]
                )
            except Exception as error:  # any: a defect is told to those who asked, and the next are answered
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        self._worker = None


@dataclass
class State:
    """What a server is told while it runs.

    Attributes:
        reload_failed: why a newer run could not be loaded, for ``/health``.
        leaving: whether another process has taken over: clients are told to open new connections.
    """

    reload_failed: str | None = None
    leaving: bool = False


class Edge:
    """ASGI middleware that refuses long bodies, told their length or not, and closes connections.

    Args:
        app: what it stands before.
        state: says whether connections are to be closed.
    """

    def __init__(self, app: Callable, state: State) -> None:
        self.app, self.state = app, state

    async def __call__(self, scope: Any, receive: Callable, send: Callable) -> None:
        """Pass a request on, and its answer back."""
        size = 0

        async def limited() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MOST_BYTES:
                raise HTTPException(413, f"the body is longer than {MOST_BYTES:,} bytes; ask for fewer users")
            return message

        async def answered(message: Any) -> None:
            if self.state.leaving and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self.app(scope, limited, answered)


def facts_of(served: AnsweringRun) -> dict[str, Any]:
    """Return what ``/health`` says of a run: its names and sizes, when it ended, and which weights it has."""
    run = served.run
    digest = hashlib.sha256(run.folder.best.read_bytes()).hexdigest()
    ended = run.folder.result if run.folder.result.is_file() else run.folder.best
    when = datetime.datetime.fromtimestamp(ended.stat().st_mtime, datetime.UTC)
    return {
        "run": run.folder.path.name,
        "model": run.config["model"],
        "dataset": run.config["dataset"],
        "users": len(run.users),
        "new_users": 0 if served.new is None else len(served.new),
        "items": len(run.items),
        "trained": when.isoformat(timespec="seconds"),
        "revision": digest[:16],
        "version": __version__,
    }


def _json(content: Any, code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer in ASCII: an id may have half a surrogate pair, which UTF-8 cannot hold."""
    text = json.dumps(content, separators=(",", ":"))
    return Response(text, code, headers, media_type="application/json")


def _check_once(body: bytes) -> None:
    """Refuse JSON with a name that an object has twice, of which the last would count, or a number like NaN.

    Raises:
        UsageError: it has one.
    """

    def once(pairs: list[tuple[str, Any]]) -> None:
        names = collections.Counter(name for name, _ in pairs)
        if twice := [name for name, count in names.items() if count > 1]:
            raise UsageError(f"the body names {twice[0]!r} twice in one object; name it once")

    def no_number(text: str) -> None:
        raise UsageError(f"the body has {text}, which is not JSON; give a number")

    json.loads(body, object_pairs_hook=once, parse_constant=no_number)


def _tell_errors(app: FastAPI) -> None:
    """Let an application answer what is wrong as one sentence, ``detail``."""

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        # Of the forms that something may have, the one that it comes closest to.
        first = max(error.errors(), key=lambda one: len(one["loc"]))
        place = ".".join(_names(first["loc"][1:], error.body)) or "the request"
        if first["type"] == "json_invalid":
            place = "the body is not JSON"
        elif isinstance(error.body, bytes) and error.body:
            place = "the body is not read as JSON without the header Content-Type: application/json"
        what = "Input should be a text or a whole number" if first["type"] == "string_type" else first["msg"]
        return _json({"detail": f"{place}: {what}"}, 422)

    @app.exception_handler(UsageError)
    async def refused(_: Request, error: UsageError) -> Response:
        return _json({"detail": str(error)}, 422)

    @app.exception_handler(RunError)
    async def failed(_: Request, error: RunError) -> Response:
        return _json({"detail": str(error)}, 500)

    @app.exception_handler(HTTPError)
    async def told(request: Request, error: HTTPError) -> Response:
        cause = error.__cause__
        if error.status_code == 400 and isinstance(cause, ValueError | RecursionError):
            # FastAPI's answer to bytes that are no text, numbers of too many digits and very deep lists.
            deep = "a number has too many digits, or lists are nested too deep"
            reason = "it is no UTF-8 text" if isinstance(cause, UnicodeDecodeError) else deep
            return _json({"detail": f"the body is not JSON that can be read: {reason}"}, 422)
        detail = error.detail
        if error.status_code in (404, 405) and detail == http.HTTPStatus(error.status_code).phrase:
            detail = f"there is no {request.method} {request.url.path[:80]}; there are {REQUESTS}"
        return _json({"detail": detail}, error.status_code, error.headers)


def _names(place: Sequence[Any], body: Any) -> Iterator[str]:
    """Yield the names and numbers by which a place of a body is reached, without pydantic's for types.

    Args:
        place: where pydantic has found an error.
        body: the body; None: the place is one of a query.
    """
    of_query = body is None
    for one in place:
        there = one in body if isinstance(body, Mapping) else isinstance(body, list) and isinstance(one, int)
        if there:
            body = body[one]
        if there or of_query:
            yield str(one)


def make_app(served: AnsweringRun, k: int, state: State) -> FastAPI:
    """Return the application.

    Args:
        served: the run.
        k: length of a list where a request names none.
        state: what the server is told while it runs.
    """
    # Without the pages that load scripts from another server.
    app = FastAPI(title="recbole_diffusion", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Edge, state=state)
    _tell_errors(app)
    batches, facts, started = Batches(served.answer), facts_of(served), time.time()
    trained = datetime.datetime.fromisoformat(facts["trained"]).timestamp()

    def places(of: int | None, users: int) -> int:
        length = k if of is None else of
        check_k(length, len(served.run.items))
        if users > MOST_USERS or length * users > MOST_PLACES:
            most = f"a request takes {MOST_USERS:,} users and {MOST_PLACES:,} places at most"
            raise UsageError(f"{counted(users, 'list')} of {length:,} are asked for; {most}")
        return length

    def body(content: dict[str, Any]) -> Response:
        return _json({"run": facts["run"], **content})

    @app.head("/recommend", include_in_schema=False)
    @app.get("/recommend")
    async def recommend_one(asked: Annotated[OneUser, Query()], request: Request) -> Response:
        """Return the list of a user of the data."""
        if len(request.query_params.multi_items()) > len(request.query_params):
            raise UsageError("the query names something twice; POST /recommend takes several users")
        answer = await batches.ask(Asked([asked.user], {}, places(asked.k, 1)))
        return body(answer.lists[0])

    @app.post("/recommend")
    async def recommend_several(asked: SeveralUsers, request: Request) -> Response:
        """Return the lists of users of the data, and of others by their histories."""
        if request.query_params:
            raise UsageError(
                f"POST /recommend takes no query, {str(request.query_params)[:80]!r} is given; write it into "
                "the body"
            )
        _check_once(await request.body())
        histories: dict[str | None, History] = dict(asked.histories.items())
        if asked.history is not None:
            histories[None] = asked.history
        users = [str(user) for user in asked.users]
        if not users and not histories:
            raise UsageError("the request names no user; give users, histories or a history")
        answer = await batches.ask(Asked(users, histories, places(asked.k, len(users) + len(histories))))
        return body(
            {
                "lists": answer.lists,
                "unknown_users": answer.unknown_users,
                "unknown_items": answer.unknown_items,
            }
        )

    @app.head("/health", include_in_schema=False)
    @app.get("/health")
    async def health() -> Response:
        """Return what is served, and since when."""
        now = time.time()
        ages = {"age_seconds": round(now - trained), "up_seconds": round(now - started)}
        return _json({"status": "ok", **facts, **ages, "reload_failed": state.reload_failed})

    return app
