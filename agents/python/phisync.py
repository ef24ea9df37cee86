"""An agent's side of phisync, in Python: one module, the standard library only, Python 3.9 or later.

A whole agent is a function and one call::

    import phisync

    def write(task):
        task.progress({"step": "reading"})
        return {"text": f"about {task.input['topic']}"}

    phisync.work(phisync.Client.from_environment("WEBC"), write)

``work`` takes tasks, keeps them alive while the function runs, and reports what it returns or raises. Raise
``TaskFailed`` to say what went wrong in words of your own, ``AskHuman`` to ask people: the task then comes back with
their answer in ``task.answers``. A function that runs long asks ``task.cancelled``
now and then: once it is set, nobody wants the result any more.

``Client`` alone is the API: one method, one request. It never repeats a request by itself; ``CallError.may_retry``
says whether that makes sense.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional

__all__ = ["AskHuman", "CallError", "Client", "Refused", "Task", "TaskFailed", "Unreachable", "work"]
__version__ = "0.1.0"

#: Longest wait for an answer, beyond the time that a poll asked to wait, in seconds.
ANSWER_WITHIN = 10.0

#: How long one poll of ``work`` waits for a task, in seconds.
POLL_WAIT = 20.0


#: The most bytes of what a task says of its progress.
PROGRESS_MAX = 4096


class CallError(Exception):
    """A request that did not succeed."""

    #: Whether the same request may succeed later.
    may_retry = False


class Refused(CallError):
    """The server said no: a problem document of RFC 9457."""

    def __init__(self, status: int, problem: dict[str, Any]):
        self.status = status
        #: Stable code for programs, such as ``stale_token``.
        self.code: str = problem.get("code", "unknown")
        self.hint: Optional[str] = problem.get("hint")
        self.problem = problem
        self.may_retry = status == 429 or status >= 500
        super().__init__(f"{self.code}: {problem.get('detail', status)}")


class Unreachable(CallError):
    """No answer came: whether the request had an effect is unknown."""

    may_retry = True


class TaskFailed(Exception):
    """Raise it in a task's function to fail the task with a code and a message of your own.

    ``code`` is ``app.NAME`` for reasons of the work itself and ``transient.NAME`` for what may pass.
    """

    def __init__(self, message: str, code: str = "task.failed", retryable: Optional[bool] = None):
        self.code = code
        self.retryable = retryable
        super().__init__(message)


class AskHuman(Exception):
    """Raise it in a task's function to ask people. The task is parked until somebody has answered, and then offered
    again, to this agent first.

    ``form`` is a JSON Schema of the data that an answer has to carry; without it an answer is words.
    """

    def __init__(self, question: str, form: Optional[dict[str, Any]] = None):
        self.question = question
        self.form = form
        super().__init__(question)


@dataclass(frozen=True)
class Task:
    """One attempt of a task. What came with it, and the two words that its function has for ``work``."""

    id: str
    run: str
    workflow: str
    step: str
    attempt: int
    #: Fencing token of this claim: goes back with everything said about the task.
    token: int
    type: str
    input: Any
    #: Length of the lease in seconds; each heartbeat starts it over.
    lease: float
    #: Key for effects outside, the same in every attempt.
    key: str
    prompt: Optional[str] = None
    output_schema: Optional[dict[str, Any]] = None
    #: What earlier holders left behind: ``attempts``, ``progress``, ``answers``.
    handoff: Any = None
    #: The task as it came, with fields that this version does not know.
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    #: Set when the result is not wanted any more: the run was cancelled, or the lease was lost.
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)
    _progress: list[Any] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Task:
        known = {name: raw[name] for name in ("id", "run", "workflow", "step", "attempt", "token", "type", "input", "key")}
        return cls(
            **known,
            lease=raw["lease_ms"] / 1000,
            prompt=raw.get("prompt"),
            output_schema=raw.get("output_schema"),
            handoff=raw.get("handoff"),
            raw=raw,
        )

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What people answered, in order: ``question``, ``answer`` or ``form``, ``by``."""
        return list((self.handoff or {}).get("answers", []))

    def progress(self, value: Any) -> None:
        """Says how far the work is, in JSON of at most 4096 bytes; goes out with the next heartbeat.

        Whoever takes the task over gets to know it.
        """
        if len(json.dumps(value, allow_nan=False).encode()) > PROGRESS_MAX:
            raise ValueError(f"progress takes at most {PROGRESS_MAX} bytes")
        self._progress[:] = [value]


class Client:
    """One server, on behalf of one agent. Safe to use from several threads."""

    def __init__(self, url: str, token: str, agent: Optional[str] = None):
        """``agent`` names the agent when the token is the owner's; an agent's own token needs no name."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ValueError(f"{url!r} is no server: an address such as http://127.0.0.1:7070 is needed")
        if not token.strip():
            raise ValueError("the token is empty")
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._headers = {"Authorization": f"Bearer {token.strip()}", "Content-Type": "application/json"}
        if agent is not None:
            self._headers["Phisync-Agent"] = agent
        # No proxies, no redirects: the token goes to the server it was made for and nowhere else.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())

    @classmethod
    def from_environment(cls, agent: Optional[str] = None) -> Client:
        """From ``PHISYNC_SERVER`` and ``PHISYNC_TOKEN``, else from the nearest ``.phisync`` upward."""
        url, token = os.environ.get("PHISYNC_SERVER"), os.environ.get("PHISYNC_TOKEN")
        if url and token:
            return cls(url, token, agent)
        for place in [Path.cwd(), *Path.cwd().parents]:
            data = place / ".phisync"
            if (data / "server.json").is_file():
                announced = json.loads((data / "server.json").read_text("utf-8"))
                return cls(url or announced["url"], token or (data / "admin.token").read_text("utf-8"), agent)
        raise FileNotFoundError("no server runs here: start `phisync serve`, or set PHISYNC_SERVER and PHISYNC_TOKEN")

    def poll(self, wait: float = 0.0, capabilities: Optional[list[str]] = None, max: int = 1) -> list[Task]:
        """Takes up to ``max`` tasks, waiting up to ``wait`` seconds (60 at most) for the first."""
        body: dict[str, Any] = {"max": max, "wait_s": wait}
        if capabilities is not None:
            body["capabilities"] = capabilities
        answer = self.request("POST", "/v1/tasks/poll", body, wait)
        return [Task.from_json(raw) for raw in (answer or {}).get("tasks", [])]

    def heartbeat(self, task: Task) -> bool:
        """Renews the task's lease; whether its end is wanted."""
        body: dict[str, Any] = {"token": task.token}
        if task._progress:
            body["progress"] = task._progress[-1]
        return bool(self._about(task, "heartbeat", body)["cancel_requested"])

    def complete(self, task: Task, output: Any) -> None:
        """Reports the result. Repeating it with the same result is harmless."""
        self._about(task, "complete", {"token": task.token, "output": output})

    def complete_all(self, results: list[tuple[Task, Any]]) -> list[Optional[dict[str, Any]]]:
        """Reports up to 64 results at once; for each ``None``, or the problem for which it was refused."""
        body = {"results": [{"task": t.id, "token": t.token, "output": output} for t, output in results]}
        answer = self.request("POST", "/v1/tasks/complete", body)
        return [result.get("problem") for result in answer["results"]]

    def fail(self, task: Task, message: str, code: str = "task.failed", retryable: Optional[bool] = None) -> None:
        """Reports that the task could not be done."""
        body = {"token": task.token, "code": code, "message": message}
        if retryable is not None:
            body["retryable"] = retryable
        self._about(task, "fail", body)

    def ask(self, task: Task, question: str, form: Optional[dict[str, Any]] = None) -> None:
        """Asks people, and gives the task up until somebody has answered. Asking the same again is harmless."""
        body: dict[str, Any] = {"token": task.token, "question": question}
        if form is not None:
            body["form"] = form
        self._about(task, "ask", body)

    def release(self, task: Task, begun: bool = False) -> None:
        """Gives the task back for others to take; ``begun`` if the world may have changed."""
        self._about(task, "release", {"token": task.token, "begun": begun})

    def alive(self) -> None:
        """Says that the agent lives: for one that neither works nor waits. Every other call says so too."""
        self.request("POST", "/v1/agents/heartbeat", {})

    def agents(self) -> list[dict[str, Any]]:
        """The team: ``name``, ``origin``, ``verdict`` (``unseen alive suspect dead``), ``holds`` and so on."""
        return list(self.request("GET", "/v1/agents")["agents"])

    def document(self, name: str) -> tuple[Any, int]:
        """A shared document's content and version; ``(None, 0)`` if there is none."""
        try:
            read = self.request("GET", f"/v1/documents/{urllib.parse.quote(name, safe='')}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return None, 0
        return read["content"], read["version"]

    def write_document(self, name: str, content: Any, version: int) -> int:
        """Writes a shared document if it still has the version that was read, 0 if there must be none; the new version.

        ``Refused`` with the status 412 if somebody was faster.
        """
        condition = {"If-Match": f'"{version}"'} if version else {"If-None-Match": "*"}
        path = f"/v1/documents/{urllib.parse.quote(name, safe='')}"
        return int(self.request("PUT", path, content, headers=condition)["version"])

    def update_document(self, name: str, change: Callable[[Any], Any]) -> Any:
        """Reads a shared document, writes what ``change`` makes of its content (``None`` if there is none), and does
        both again until nobody was faster; what was written."""
        while True:
            content, version = self.document(name)
            changed = change(content)
            try:
                self.write_document(name, changed, version)
            except Refused as refused:
                if refused.status != 412:
                    raise
            else:
                return changed

    def register(self, name: str, **words: Any) -> Optional[str]:
        """Takes an agent into the team that agents.yaml does not declare, or describes one anew: ``capabilities``,
        ``pool``, ``concurrency``, ``silence``, ``detector``, ``rate``. Its token if it is new, shown this once.
        For operators."""
        token = self.request("POST", "/v1/agents", {"name": name, **words}).get("token")
        return token["token"] if token else None

    def remove(self, name: str, reason: Optional[str] = None, at_once: bool = False) -> list[str]:
        """Takes a registered agent out of the team; the tasks that it lost, with ``at_once``. For operators."""
        path = f"/v1/agents/{urllib.parse.quote(name, safe='')}/remove"
        return list(self.request("POST", path, {"reason": reason, "at_once": at_once})["lost"])

    def _about(self, task: Task, verb: str, body: dict[str, Any]) -> Any:
        return self.request("POST", f"/v1/tasks/{urllib.parse.quote(task.id, safe='')}/{verb}", body)

    def request(
        self, method: str, path: str, body: Any = None, wait: float = 0.0, headers: Optional[dict[str, str]] = None
    ) -> Any:
        """Any request of the HTTP API: the answer's JSON, or ``None`` without content.

        Raises ``Refused`` if the server says no, ``Unreachable`` if no answer comes.
        """
        # What is put may be `null` itself.
        empty = body is None and method != "PUT"
        data = None if empty else json.dumps(body, allow_nan=False).encode()
        request = urllib.request.Request(self._base + path, data, {**self._headers, **(headers or {})}, method=method)
        try:
            with self._opener.open(request, timeout=ANSWER_WITHIN + wait) as answer:
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, _problem(error.read())) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no answer from {self._base}: {error}") from error
        return json.loads(content) if content else None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _problem(content: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def work(
    client: Client,
    function: Callable[[Task], Any],
    *,
    concurrency: int = 1,
    capabilities: Optional[list[str]] = None,
    max_tasks: Optional[int] = None,
    stop: Optional[threading.Event] = None,
) -> int:
    """Takes tasks and calls ``function`` with each until ``stop`` is set; how many it took.

    What ``function`` returns is the result; what it raises fails the task. With ``concurrency`` above 1 it runs
    in that many threads. In the main thread SIGINT and SIGTERM set ``stop``: what runs then ends first.
    """
    stop = stop or threading.Event()
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: stop.set())
    shift = _Shift(client, function, capabilities, max_tasks, stop)
    threads = [threading.Thread(target=shift.serve, name=f"slot-{n}") for n in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        # In slices, so that the main thread gets to hear signals.
        while thread.is_alive():
            thread.join(0.2)
    if shift.error is not None:
        raise shift.error
    return shift.taken


#: Statuses that mean that a claim is over: nothing said about it has any effect.
_OVER = (401, 404, 409, 410)


class _Shift:
    """The slots of one ``work`` and what they share."""

    def __init__(
        self,
        client: Client,
        function: Callable[[Task], Any],
        capabilities: Optional[list[str]],
        max_tasks: Optional[int],
        stop: threading.Event,
    ):
        self.client, self.function, self.capabilities = client, function, capabilities
        self.stop = stop
        self.left = max_tasks
        self.taken = 0
        self.error: Optional[Exception] = None
        self.lock = threading.Lock()

    def serve(self) -> None:
        failures = 0
        while not self.stop.is_set() and self._book():
            try:
                tasks = self.client.poll(POLL_WAIT, self.capabilities)
                failures = 0
            except CallError as error:
                self._give_back()
                if not error.may_retry:
                    self.error = error
                    self.stop.set()
                    return
                failures += 1
                # Full jitter, so that a team does not come back all at once.
                self.stop.wait(random.uniform(0, min(30.0, 0.25 * 2**failures)))
                continue
            if not tasks:
                self._give_back()
            for task in tasks:
                with self.lock:
                    self.taken += 1
                self._attempt(task)

    def _book(self) -> bool:
        """Reserves one of the tasks that may still be taken."""
        with self.lock:
            if self.left == 0:
                return False
            if self.left is not None:
                self.left -= 1
            return True

    def _give_back(self) -> None:
        with self.lock:
            if self.left is not None:
                self.left += 1

    def _attempt(self, task: Task) -> None:
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(task, ended), name="heart", daemon=True)
        heart.start()
        try:
            output = self.function(task)
            report = partial(self.client.complete, task, output)
        except AskHuman as asked:
            report = partial(self.client.ask, task, asked.question, asked.form)
        except TaskFailed as error:
            report = partial(self.client.fail, task, str(error), error.code, error.retryable)
        except Exception as error:  # Whatever a function raises is the task's failure, not the worker's.
            code = "cancelled" if task.cancelled.is_set() else "task.failed"
            report = partial(self.client.fail, task, f"{type(error).__name__}: {error}", code)
        try:
            self._report(task, report)
        finally:
            # The heart beats until the report is through: the lease must not end in between.
            ended.set()
            heart.join()

    def _report(self, task: Task, report: Callable[[], None]) -> None:
        """Reports until the server answers or the lease would have ended. A claim that is over needs no report; a
        result that is refused, or that is no JSON, fails the attempt with what is wrong with it."""
        until = time.monotonic() + task.lease
        refused = False
        while time.monotonic() < until:
            try:
                return report()
            except CallError as error:
                if isinstance(error, Refused) and error.status in _OVER:
                    return None
                if error.may_retry:
                    time.sleep(random.uniform(0.05, 0.5))
                    continue
                words, code = str(error), getattr(error, "code", "schema.output")
                if code not in ("acceptance", "schema.output"):
                    code = "task.failed"
            except (TypeError, ValueError) as error:
                words, code = f"the result cannot be sent: {error}", "task.failed"
            if refused:
                return None
            refused = True
            report = partial(self.client.fail, task, words, code)
        return None

    def _beat(self, task: Task, ended: threading.Event) -> None:
        """Renews the lease every third of it. One margin before it ends unrenewed, the claim counts as lost."""
        renewed = time.monotonic()
        while not ended.wait(task.lease / 3):
            asked = time.monotonic()
            try:
                if self.client.heartbeat(task):
                    task.cancelled.set()
                renewed = asked
            except Refused as error:
                if not error.may_retry:
                    task.cancelled.set()
                    return
            except Unreachable:
                pass
            if time.monotonic() - renewed >= task.lease * 0.9:
                task.cancelled.set()
