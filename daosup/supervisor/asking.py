"""Asks other hosts through the registry, for whoever asks us.

Invariants: an answer counts only for the question whose number it has, from the host that was asked, and to an order
only if it is signed; except that a refusal may come from a host that cannot sign. Only orders are signed, and only for
callers who may change things here. A host that does not acknowledge a question within `ACK_S` does not answer.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Optional

from daosup.adapters.control import Request
from daosup.adapters.control_protocol import MAX_REPLY_BYTES, error_of, kind_of
from daosup.adapters.registry import HostView
from daosup.core import keys
from daosup.core.nearest import did_you_mean
from daosup.core.questions import (
    MAX_QUESTION_BYTES,
    MAX_WAIT_S,
    VERSION,
    Answer,
    Kind,
    Purpose,
    Question,
    Sealed,
    decode_answer,
    encode_question,
    unseal,
)
from daosup.errors import (
    DaosupError,
    DeniedError,
    NoAnswerError,
    NotFoundError,
    ProtocolError,
    UnsupportedError,
    UsageError,
)
from daosup.supervisor.requests import each_of, hosts_of, number_of, only_looks, request_of

if TYPE_CHECKING:
    from daosup.supervisor.commands import Commands
    from daosup.supervisor.loop import Supervisor

Object = dict[str, Any]

ACK_S = 3.0
#: How much longer than allowed an answer may be on its way.
LATE_S = 2.0
MAX_ASKED_AT_ONCE = 512
#: All answers must go into one reply.
_ROOM_BYTES = MAX_REPLY_BYTES * 3 // 4
#: Of one question; more are not looked at.
_MAX_ANSWERS = 4


@dataclass
class _Pending:
    host: str
    secret: Optional[bytes]
    acknowledged: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    answered: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    seen: int = 0


class Asking:
    """Asks for one supervisor.

    Attributes:
        ignored: How many messages were no answer to any question of ours.
    """

    def __init__(self, supervisor: Supervisor, commands: Commands) -> None:
        self._supervisor = supervisor
        self._commands = commands
        self._pending: dict[str, _Pending] = {}
        self._reading: set[asyncio.Task[None]] = set()
        self.by_name = {"ask": self._ask}
        self.ignored = 0

    def take(self, raw: bytes) -> None:
        """A message came."""
        try:
            sealed = unseal(Purpose.ANSWER, raw)
            pending = self._pending.get(sealed.ident)
        except ProtocolError:
            pending = None
        if pending is None or pending.seen >= _MAX_ANSWERS:
            self.ignored += 1
            return
        pending.seen += 1
        task = asyncio.get_running_loop().create_task(self._read(sealed, pending))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    @only_looks  # for what is asked, both sides look whether he may
    async def _ask(self, request: Request) -> Object:
        """Have hosts carry out a command.

        ``hosts``: which, or null for all. ``request``: the command with its arguments; ``each``: by host what more
        arguments it has there. ``wait_s``: how long an answer may take.

        Returns for each host ``{"ok": true, "result": ...}``, or ``{"ok": false, "error": {"kind", "message"}, "known":
        what the registry last knew of it, or null}``.
        """
        hosts, (command, arguments), each = hosts_of(request), request_of(request), each_of(request)
        wait_s = number_of(request.arguments, "wait_s", 5.0, MAX_WAIT_S)
        order = Request(command, arguments, request.connection, request.caller)
        self._commands.check(order)
        own = self._supervisor.config.host
        views: dict[str, HostView] = {}
        self._check_count(hosts or ())
        if hosts is None or hosts - {own}:
            self._supervisor.need_registry()
            views = await self._supervisor.desk.host_views(hosts)
        asked = sorted({own, *views} if hosts is None else hosts)
        self._check_count(asked)
        orders = [replace(order, arguments={**arguments, **each.get(host, {})}) for host in asked]
        told = await asyncio.gather(*(self._told(host, views, one, wait_s) for host, one in zip(asked, orders)))
        return dict(zip(asked, self._fitting(told)))

    async def _told(self, host: str, views: dict[str, HostView], order: Request, wait_s: float) -> tuple[Object, int]:
        """What a host answers, and how many bytes that has about."""
        try:
            if host == self._supervisor.config.host:
                return {"ok": True, "result": await self._commands.answer_host(order)}, 0
            answer = await self._question(host, views, order, wait_s)
            if answer.kind is Kind.RESULT:
                return {"ok": True, "result": answer.value}, answer.size_bytes
            raise _error_in(answer)
        except DaosupError as error:
            view = views.get(host)
            return {"ok": False, "error": _said(error), "known": _known(view) if view else None}, 0

    async def _question(self, host: str, views: dict[str, HostView], order: Request, wait_s: float) -> Answer:
        instance = await self._instance(host, views)
        secret = None if self._commands.is_looking(order.command) else self._need_secret()
        supervisor = self._supervisor
        question = Question(
            ident=secrets.token_hex(16),
            asker=supervisor.config.host,
            host=host,
            instance=instance,
            time_ms=round(supervisor.desk.redis_now_s * 1000),
            wait_s=max(1, round(wait_s)),
            command=order.command,
            arguments=order.arguments,
        )
        raw = encode_question(question, secret)
        if len(raw) > MAX_QUESTION_BYTES:
            raise UsageError(f"{len(raw)} bytes are more than the {MAX_QUESTION_BYTES} that another host can be asked")
        pending = self._pending[question.ident] = _Pending(host, secret)
        try:
            if not await supervisor.desk.send(keys.question_channel(host), raw):
                raise NoAnswerError("nobody listens there: its daosupd has ended or lost its registry")
            await asyncio.wait({pending.acknowledged}, timeout=ACK_S)
            if not pending.acknowledged.done():
                raise NoAnswerError(f"no answer within {ACK_S:g} s")
            await asyncio.wait({pending.answered}, timeout=question.wait_s + LATE_S)
            if not pending.answered.done():
                raise NoAnswerError(f"it is there, but {order.command} is not done after {question.wait_s} s")
            return pending.answered.result()
        finally:
            del self._pending[question.ident]

    async def _instance(self, host: str, views: dict[str, HostView]) -> str:
        """The supervisor that speaks for a host, if it can be asked."""
        view = views.get(host)
        if view is None:
            near = did_you_mean(host, await self._known_hosts())
            raise NotFoundError(
                f"the registry knows no such host{near or '; `daosupctl ls` lists those that there are'}"
            )
        if view.instance is None:
            raise UnsupportedError("it runs the existing daoServer, which cannot be asked; log in there")
        if view.instance.questions < VERSION:
            raise UnsupportedError(f"its daosupd is {view.instance.version}, which cannot be asked; update it")
        return view.instance.instance

    async def _known_hosts(self) -> Collection[str]:
        return (await self._supervisor.desk.host_views(None)).keys()

    def _need_secret(self) -> bytes:
        secret = self._supervisor.secret
        if secret.value is None:
            raise DeniedError(secret.why_none)
        return secret.value

    async def _read(self, sealed: Sealed, pending: _Pending) -> None:
        is_signed = pending.secret is None or sealed.is_signed_by(pending.secret)
        try:
            # A status of many workers takes long to unpack and read.
            answer = await asyncio.get_running_loop().run_in_executor(None, decode_answer, sealed)
        except ProtocolError:
            self.ignored += 1
            return
        is_refusal = answer.kind is Kind.ERROR and isinstance(_error_in(answer), DeniedError)
        is_meant = answer.host == pending.host and answer.asker == self._supervisor.config.host
        if not is_meant or not (is_signed or is_refusal or answer.kind is Kind.ACK):
            self.ignored += 1
            return
        if not pending.acknowledged.done():
            pending.acknowledged.set_result(None)
        if answer.kind is not Kind.ACK and not pending.answered.done():
            pending.answered.set_result(answer)

    @staticmethod
    def _check_count(hosts: Collection[str]) -> None:
        if len(hosts) > MAX_ASKED_AT_ONCE:
            raise UsageError(f"{len(hosts)} hosts are more than the {MAX_ASKED_AT_ONCE} that can be asked at once")

    @staticmethod
    def _fitting(told: list[tuple[Object, int]]) -> list[Object]:
        """The answers, as far as they go into one reply."""
        left, fitting = _ROOM_BYTES, []
        for answer, size_bytes in told:
            left -= size_bytes
            too_much = {
                "kind": "unavailable",
                "message": "too much to tell together with the others; ask it alone (-H)",
            }
            fitting.append(answer if left >= 0 else {"ok": False, "error": too_much, "known": None})
        return fitting


def _error_in(answer: Answer) -> DaosupError:
    value = answer.value if isinstance(answer.value, dict) else {}
    return error_of(str(value.get("kind"))[:40], str(value.get("message"))[:4000])


def _said(error: DaosupError) -> Object:
    return {"kind": kind_of(error), "message": str(error)}


def _known(view: HostView) -> Object:
    instance = view.instance
    return {
        "ip": view.ip,
        "role": view.role,
        "last_connect": view.last_connect,
        "age_s": view.age_s,
        "version": instance.version if instance else None,
        "pid": instance.pid if instance else None,
    }
