"""Orders of other hosts: whatever an attacker repeats, delays or makes up, each is admitted at most once."""

from __future__ import annotations

import dataclasses

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from daosup.core import admission, questions
from daosup.core.admission import WINDOW_MS, Admission
from daosup.core.questions import Purpose, Question, decode_question, encode_question, unseal
from daosup.errors import ProtocolError

SECRET, GUESSED = b"secret of the fleet, 32 bytes ..", b"what an attacker guesses ........"
BEGAN_MS = 1_700_000_000_000
STEPS_MS = st.sampled_from([0, 1, 1000, WINDOW_MS - 1, WINDOW_MS, WINDOW_MS + 1, 2 * WINDOW_MS, 10 * WINDOW_MS])


class Orders(RuleBasedStateMachine):
    """A supervisor, those that order it about, and an attacker who reads, keeps and sends whatever goes by."""

    sent = Bundle("sent")

    @initialize()
    def begin(self) -> None:
        self.redis_ms = BEGAN_MS
        self.latest_ms = 0
        self.instance = 0
        self.number = 0
        self.admission = Admission("run0")
        #: By number: how often it was carried out.
        self.done: dict[str, int] = {}

    @rule(target=sent, ahead_ms=st.integers(-2 * WINDOW_MS, 2 * WINDOW_MS))
    def order(self, ahead_ms: int) -> bytes:
        """Somebody who may do so orders something, by a clock that may be wrong; nothing arrives yet."""
        return self._written(SECRET, ahead_ms)

    @rule(target=sent, ahead_ms=st.integers(-WINDOW_MS, WINDOW_MS))
    def forge(self, ahead_ms: int) -> bytes:
        """The attacker makes an order up."""
        return self._written(GUESSED, ahead_ms)

    @rule(target=sent, raw=sent, place=st.integers(0, 400), bit=st.integers(0, 7))
    def alter(self, raw: bytes, place: int, bit: int) -> bytes:
        """The attacker changes one bit."""
        place %= len(raw)
        return raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]

    def _written(self, secret: bytes, ahead_ms: int) -> bytes:
        self.number += 1
        time_ms = max(0, self.redis_ms + ahead_ms)
        ident = f"{self.number:032x}"
        asked = Question(ident, "lab", "rts", f"run{self.instance}", time_ms, 5, "restart", {"name": "wfs"})
        return encode_question(asked, secret)

    @rule(raw=sent, times=st.integers(1, 3))
    def deliver(self, raw: bytes, times: int) -> None:
        """A message arrives, perhaps not for the first time, perhaps late."""
        for _ in range(times):
            self._arrive(raw)

    @rule(ahead_ms=st.integers(-WINDOW_MS + 1000, WINDOW_MS - 1000))
    def obey(self, ahead_ms: int) -> None:
        """A fresh order of somebody whose clock is not too wrong is carried out, unless Redis's clock was set back."""
        raw = self._written(SECRET, ahead_ms)
        is_told_right = self.redis_ms + ahead_ms >= max(self.latest_ms, self.redis_ms) - WINDOW_MS
        assert self._arrive(raw) == is_told_right

    def _arrive(self, raw: bytes) -> bool:
        try:
            sealed = unseal(Purpose.QUESTION, raw)
            asked = decode_question(sealed)
        except ProtocolError:
            return False
        is_signed = sealed.is_signed_by(SECRET)
        refusal = self.admission.refusal(asked, self.redis_ms, is_signed=is_signed)
        if is_signed and asked.instance == f"run{self.instance}":
            self.latest_ms = max(self.latest_ms, self.redis_ms)
        if refusal is not None:
            return False
        assert is_signed
        assert asked.instance == f"run{self.instance}"
        assert abs(asked.time_ms - self.redis_ms) <= WINDOW_MS
        assert int(asked.ident, 16) <= self.number
        self.done[asked.ident] = self.done.get(asked.ident, 0) + 1
        return True

    @rule(step_ms=STEPS_MS)
    def wait(self, step_ms: int) -> None:
        self.redis_ms += step_ms

    @rule(step_ms=STEPS_MS)
    def set_back(self, step_ms: int) -> None:
        """Redis fails over to a server whose clock is behind."""
        self.redis_ms = max(0, self.redis_ms - step_ms)

    @rule()
    def start_anew(self) -> None:
        """The supervisor is killed and started: it remembers nothing."""
        self.instance += 1
        self.admission = Admission(f"run{self.instance}")
        self.latest_ms = 0

    @invariant()
    def nothing_is_done_twice(self) -> None:
        assert all(count == 1 for count in getattr(self, "done", {}).values())


TestOrders = Orders.TestCase


def test_what_is_remembered_is_bounded_and_nothing_is_forgotten_for_it() -> None:
    one = Admission("run")
    template = Question("", "lab", "rts", "run", BEGAN_MS, 5, "restart", {})
    asked = [dataclasses.replace(template, ident=f"{number:032x}") for number in range(admission.MOST_REMEMBERED + 1)]
    assert [one.refusal(each, BEGAN_MS, is_signed=True) for each in asked[:-1]] == [None] * admission.MOST_REMEMBERED
    assert "ask again later" in str(one.refusal(asked[-1], BEGAN_MS, is_signed=True))
    assert "repeats" in str(one.refusal(asked[0], BEGAN_MS, is_signed=True))
    later = dataclasses.replace(asked[-1], time_ms=BEGAN_MS + WINDOW_MS + 1)
    assert one.refusal(later, BEGAN_MS + WINDOW_MS + 1, is_signed=True) is None
    assert questions.VERSION == 1
