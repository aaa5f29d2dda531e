"""Answers what other hosts ask through the registry.

Invariants: looking is answered to whoever asks, changes are made only for who knows the secret, each at most once
(core/admission.py); what others send costs a bounded number of tasks, each of bounded length, and a bounded line
(core/question_line.py). A question is acknowledged before it is worked on.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Optional

from daosup.adapters.control import Caller, Request
from daosup.adapters.control_connection import STOPPING
from daosup.adapters.control_protocol import INTERNAL, kind_of
from daosup.core import keys
from daosup.core.admission import Admission
from daosup.core.notices import fleet
from daosup.core.question_line import Asked, QuestionLine
from daosup.core.questions import (
    Answer,
    Kind,
    Purpose,
    Question,
    decode_question,
    encode_answer,
    unseal,
)
from daosup.errors import DaosupError, NoAnswerError, ProtocolError, UnavailableError

if TYPE_CHECKING:
    from daosup.supervisor.commands import Commands
    from daosup.supervisor.loop import Supervisor

CLOSE_S = 1.0


class Answering:
    """Answers for one supervisor.

    Attributes:
        ignored: How many messages were no question to this supervisor, or came again, or gave way to others.
    """

    def __init__(self, supervisor: Supervisor, commands: Commands) -> None:
        self._supervisor = supervisor
        self._commands = commands
        self._admission = Admission(supervisor.instance)
        self._line = QuestionLine()
        self._answering: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[object]] = set()
        self._is_closing = False
        self.ignored = 0

    def take(self, raw: bytes) -> None:
        """A message came."""
        try:
            sealed = unseal(Purpose.QUESTION, raw)
            question = decode_question(sealed)
        except ProtocolError:
            question = None
        supervisor = self._supervisor
        if (
            question is None
            or question.host != supervisor.config.host
            # Of two daemons that both use this host's name, the one that the registry names.
            or question.instance != supervisor.instance
        ):
            self.ignored += 1
            return
        secret = supervisor.secret.value
        signed_by = secret if secret is not None and sealed.is_signed_by(secret) else None
        self.ignored += self._line.take(Asked(question, sealed, signed_by))
        self._begin()

    async def close(self) -> None:
        """Answer what is being worked on with an error; questions that wait or come now are not answered."""
        self._is_closing = True
        for work in self._working:
            work.cancel()
        if self._answering:
            _, late = await asyncio.wait(self._answering, timeout=CLOSE_S)
            for task in late:
                task.cancel()

    def _begin(self) -> None:
        """Work on those that there is room for."""
        while not self._is_closing and (asked := self._line.next()) is not None:
            task = asyncio.get_running_loop().create_task(self._answer(asked))
            self._answering.add(task)
            task.add_done_callback(partial(self._done, asked))

    def _done(self, asked: Asked, task: asyncio.Task[None]) -> None:
        self._answering.discard(task)
        self._line.done(asked)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._supervisor.fail(error)
        self._begin()

    async def _answer(self, asked: Asked) -> None:
        question, signed_by = asked.question, asked.signed_by
        try:
            await self._send(question, Kind.ACK, None, signed_by)
            kind, value = await self._outcome(asked)
            try:
                await self._send(question, kind, value, signed_by)
            except ProtocolError as error:  # too much to say
                await self._send(question, Kind.ERROR, {"kind": INTERNAL, "message": str(error)}, signed_by)
        except UnavailableError:
            pass  # without the registry nobody hears us

    async def _send(self, question: Question, kind: Kind, value: object, secret: Optional[bytes]) -> None:
        answer = Answer(question.ident, question.host, question.asker, kind, value)
        # A status of many workers takes long to write and pack.
        raw = await asyncio.get_running_loop().run_in_executor(None, encode_answer, answer, secret)
        await self._supervisor.desk.send(keys.answer_channel(question.asker), raw)

    async def _outcome(self, asked: Asked) -> tuple[Kind, object]:
        question = asked.question
        caller = self._caller(asked)
        request = Request(question.command, question.arguments, f"host {question.asker}", caller)
        loop = asyncio.get_running_loop()
        work = loop.create_task(self._work(request, question.wait_s))
        self._working.add(work)
        try:
            await asyncio.wait({work})
        finally:
            self._working.discard(work)
            work.cancel()
        try:
            return Kind.RESULT, work.result()
        except asyncio.CancelledError:
            error: DaosupError = UnavailableError(STOPPING)
        except DaosupError as told:
            error = told
        except Exception as bug:
            loop.call_exception_handler({"message": f"the command {request.command!r} failed", "exception": bug})
            error = DaosupError(f"a fault in daosupd ({type(bug).__name__}); see its log")
        return Kind.ERROR, {"kind": kind_of(error), "message": str(error)}

    async def _work(self, request: Request, wait_s: float) -> object:
        try:
            return await asyncio.wait_for(self._commands.answer_host(request), wait_s)
        except asyncio.TimeoutError:
            raise NoAnswerError(f"{request.command} is not done after {wait_s:g} s") from None

    def _caller(self, asked: Asked) -> Caller:
        """Who asks; an order that is admitted once is never admitted again."""
        question, is_signed = asked.question, asked.signed_by is not None
        name = f"host {question.asker}"
        if not self._commands.is_order(question.command):
            return Caller(name, "it only looks")
        supervisor = self._supervisor
        if supervisor.secret.value is None:
            refusal: Optional[str] = f"nobody may change things from another host: {supervisor.secret.why_none}"
        elif asked.sealed.signature is None:
            refusal = "only who signs with the secret of this host may change things from another host"
        else:
            now_ms = round(supervisor.desk.redis_now_s * 1000)
            why = self._admission.refusal(question, now_ms, is_signed=is_signed)
            refusal = f"the order was refused: {why}" if why else None
        told = {"peer": question.asker, "command": question.command}
        if refusal:
            supervisor.journal.tell(fleet.ORDER_REFUSED, **told, reason=refusal)
        else:
            supervisor.journal.tell(fleet.ORDER_TAKEN, **told, about=_about(question))
        return Caller(name, refusal or "")


def _about(question: Question) -> str:
    """What an order is about, in short."""
    about = question.arguments.get("source") or question.arguments.get("name") or ""
    return str(about)[:200]
