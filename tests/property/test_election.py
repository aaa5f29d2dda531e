"""Three hosts, drifting clocks, an unreliable Redis: the invariants of daosup.core.election.

Never do two act in one epoch, and a late act is refused; no two whose clocks only drift believe at once; nobody's lease
is taken away but by the one that was told to; and when all is well again there is a master within the lease time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Optional

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daosup.core import events as e
from daosup.core.election import Election
from daosup.core.lease import LEASE_TTL_S, LOOK_INTERVAL_S, Lease
from daosup.core.registry_values import Instance
from daosup.core.types import HostSign, Role
from tests.property.lease_model import LEASE_ORDERS, LeaseModel

#: Within what the guard covers.
RATES = st.floats(0.955, 1.045)
NAMES = st.sampled_from(["a", "b", "c"])
WISHES = {"a": None, "b": Role.MASTER, "c": None}
BEGAN_S = 1.7e9
GHOST = HostSign("ghost", "minion", "long ago", None, is_lasting=True)


@dataclass
class Candidate:
    """One host, what is under way to and from it, and whether its clock ever jumped or stood still."""

    name: str
    election: Election
    instance: Instance
    rate: float = 1.0
    now: float = 0.0
    is_honest: bool = True
    has_jumped: bool = False
    is_running: bool = True
    is_frozen: bool = False
    is_connected: bool = False
    is_told_to_take_over: bool = False
    orders: deque[e.Action] = field(default_factory=deque)
    answers: deque[e.Event] = field(default_factory=deque)
    last_answer: Optional[e.Event] = None


class Candidates(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.redis = LeaseModel(BEGAN_S)
        self.candidates: dict[str, Candidate] = {}
        self.starts = 0
        self.real_s = self.renewed_s = 0.0
        self.acts: list[Lease] = []
        self.is_redis_honest = True

    @initialize(rates=st.tuples(RATES, RATES, RATES), is_takeover=st.booleans())
    def begin(self, rates: tuple[float, float, float], is_takeover: bool) -> None:
        for name, rate in zip("abc", rates):
            self._start(name, rate, is_takeover=is_takeover and name == "b")

    def _start(self, name: str, rate: float, *, is_takeover: bool = False, wish: Optional[Role] = None) -> Candidate:
        self.starts += 1
        instance = Instance(f"{name}{self.starts}", 2, "1", self.starts, "10.0.0.1")
        wish = wish or WISHES[name]
        election = Election(name, instance.instance, wish, is_takeover=is_takeover)
        candidate = Candidate(name, election, instance, rate, now=1000.0 * self.starts)
        candidate.is_told_to_take_over = is_takeover
        self.candidates[name] = candidate
        return candidate

    # -- what a host and Redis do

    def _tell(self, candidate: Candidate, event: Optional[e.Event]) -> None:
        """Let a host know something, as daosup.core.host does; None is a tick."""
        election, now = candidate.election, candidate.now
        actions: list[e.Action] = []
        if isinstance(event, e.RegistryConnected):
            actions += election.connected(now)
        elif isinstance(event, e.LeaseSeen):
            actions += election.lease_seen(event, now)
        elif isinstance(event, e.HostsSeen):
            actions += election.hosts_seen(event, now)
        elif isinstance(event, e.ActRefused):
            actions += election.refused(event, now)
        elif candidate.is_connected:
            actions += election.tick(now)
        actions += election.expire(now)
        for action in actions:
            if not isinstance(action, e.Report):
                candidate.orders.append(action)
        if election.refusal is not None:
            assert candidate.election is not None
            assert WISHES[candidate.name] is Role.MASTER
            assert not candidate.is_told_to_take_over or self.acts
            self._end(candidate)

    def _end(self, candidate: Candidate) -> None:
        candidate.is_running = False
        candidate.orders.extend(candidate.election.give_up(candidate.now, is_connected=candidate.is_connected))

    def _carry_out(self, candidate: Candidate, times: int = 1) -> None:
        if not candidate.is_connected:
            candidate.orders.clear()
            return
        if not candidate.orders:
            return
        order = candidate.orders.popleft()
        for _ in range(times):
            answer = self._perform(candidate, order)
        if answer is not None:
            candidate.answers.append(answer)

    def _perform(self, candidate: Candidate, order: e.Action) -> Optional[e.Event]:
        if isinstance(order, LEASE_ORDERS):
            before = self.redis.current()
            answer = self.redis.perform(order, candidate.name, candidate.instance)
            after = self.redis.current()
            if isinstance(order, e.TakeLease) and before != after:
                self._check_taking(candidate, before)
            is_ours = answer.holder is not None and answer.holder.instance == candidate.instance.instance
            if is_ours and isinstance(order, (e.TakeLease, e.RenewLease)):
                self.renewed_s = self.real_s
            return answer
        if isinstance(order, e.ReadHosts):
            return e.HostsSeen((GHOST,), self.redis.now_s)
        assert isinstance(order, e.Evict)
        if not self.redis.holds(order.lease):
            return e.ActRefused(f"remove {order.host}", order.lease.epoch)
        assert order.lease.instance == candidate.instance.instance
        note(f"{candidate.name} acts in epoch {order.lease.epoch}")
        self.acts.append(order.lease)
        return None

    def _check_taking(self, candidate: Candidate, before: bytes) -> None:
        is_over = self.real_s - self.renewed_s > 0.95 * LEASE_TTL_S or candidate.has_jumped
        if before.startswith(b"{") and not is_over:
            is_predecessor = b'"host": "%s"' % candidate.name.encode() in before
            assert is_predecessor or candidate.is_told_to_take_over, f"{candidate.name} stole {before!r}"

    # -- time and clocks

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 3.4, 9.1, 10.1, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.real_s += seconds
        self.redis.now_s += seconds
        for candidate in self.candidates.values():
            candidate.now += seconds * candidate.rate

    @rule(name=NAMES, seconds=st.sampled_from([5.0, 20.0, 3600.0]))
    def a_clock_jumps(self, name: str, seconds: float) -> None:
        self.candidates[name].has_jumped = True
        self.candidates[name].now += seconds  # monotonic: never back; too early an end of trust is no harm

    @rule(name=NAMES, seconds=st.sampled_from([5.0, 20.0, 130.0]))
    def a_machine_is_suspended(self, name: str, seconds: float) -> None:
        candidate = self.candidates[name]
        candidate.is_honest = False  # its clock stood still meanwhile
        candidate.now -= seconds * candidate.rate
        self.time_passes(seconds)

    @rule(seconds=st.sampled_from([-3600.0, -7.0, 7.0, 3600.0]))
    def redis_clock_jumps(self, seconds: float) -> None:
        self.is_redis_honest = False
        self.redis.now_s += seconds

    # -- what goes wrong and right

    @rule(name=NAMES, times=st.sampled_from([1, 1, 2]), count=st.integers(1, 3))
    def redis_carries_out(self, name: str, times: int, count: int) -> None:
        for _ in range(count):
            self._carry_out(self.candidates[name], times)

    @rule(name=NAMES)
    def an_answer_arrives(self, name: str) -> None:
        candidate = self.candidates[name]
        if candidate.answers and candidate.is_running and not candidate.is_frozen:
            candidate.last_answer = candidate.answers.popleft()
            self._tell(candidate, candidate.last_answer)

    @rule(name=NAMES)
    def an_answer_is_repeated(self, name: str) -> None:
        candidate = self.candidates[name]
        if candidate.last_answer is not None and candidate.is_running and not candidate.is_frozen:
            self._tell(candidate, candidate.last_answer)

    @rule(name=NAMES)
    def answers_overtake_each_other(self, name: str) -> None:
        self.candidates[name].answers.rotate(1)

    @rule(name=NAMES)
    def an_answer_is_lost(self, name: str) -> None:
        if self.candidates[name].answers:
            self.candidates[name].answers.pop()

    @rule(name=NAMES)
    def the_link_breaks(self, name: str) -> None:
        candidate = self.candidates[name]
        candidate.is_connected = False
        candidate.orders.clear()

    @rule(name=NAMES)
    def ticks(self, name: str) -> None:
        candidate = self.candidates[name]
        if not candidate.is_running or candidate.is_frozen:
            return
        if candidate.is_connected:
            self._tell(candidate, None)
        else:
            candidate.is_connected = True
            self._tell(candidate, e.RegistryConnected("redis"))

    @rule(name=NAMES, is_frozen=st.booleans())
    def freezes_or_thaws(self, name: str, is_frozen: bool) -> None:
        self.candidates[name].is_frozen = is_frozen

    @rule(name=NAMES)
    def acts_late(self, name: str) -> None:
        """Whatever it believes: an act that was on its way for long, under the last lease it had."""
        candidate = self.candidates[name]
        lease = candidate.election.mandate(candidate.now)
        if lease is not None and candidate.is_running:
            candidate.orders.append(e.Evict(lease, "ghost", "long ago"))

    @rule()
    def redis_is_flushed(self) -> None:
        self.redis.flush()
        self.is_redis_honest = False

    @rule(name=NAMES, is_polite=st.booleans(), is_takeover=st.booleans())
    def is_restarted(self, name: str, is_polite: bool, is_takeover: bool) -> None:
        candidate = self.candidates[name]
        if is_polite and candidate.is_running:
            self._end(candidate)
            while candidate.orders:
                self._carry_out(candidate)
            assert not candidate.is_connected or candidate.instance.instance.encode() not in self.redis.current()
        self._start(name, candidate.rate, is_takeover=is_takeover and name == "b")

    @precondition(lambda self: self.candidates)
    @rule()
    def all_goes_well(self) -> None:
        self._settle(LEASE_TTL_S + LOOK_INTERVAL_S + 1.0)
        self._check_settled()

    def _settle(self, seconds: float) -> None:
        for candidate in self.candidates.values():
            candidate.is_frozen = False
        for _ in range(int(seconds / 0.5)):
            self.time_passes(0.5)
            for name, candidate in self.candidates.items():
                self.ticks(name)
                while candidate.orders or candidate.answers:
                    self._carry_out(candidate)
                    if candidate.answers and not candidate.is_running:
                        candidate.answers.clear()
                    self.an_answer_arrives(name)

    def _check_settled(self) -> None:
        running = [candidate for candidate in self.candidates.values() if candidate.is_running]
        masters = [each for each in running if each.election.mandate(each.now) is not None]
        assert len(masters) == 1, [each.name for each in masters]
        (master,) = masters
        lease = master.election.mandate(master.now)
        assert lease is not None
        assert self.redis.holds(lease)
        for each in running:
            assert each.election.holder == lease
            assert each.election.role is (Role.MASTER if each is master else Role.MINION)

    # -- what always holds

    @invariant()
    def epochs_grow(self) -> None:
        epochs = [lease.epoch for lease in self.redis.taken]
        if self.is_redis_honest:
            assert epochs == sorted(set(epochs))
        acted = {lease.epoch: lease for lease in self.acts}
        assert all(acted[lease.epoch] == lease for lease in self.acts), "two acted in one epoch"

    @invariant()
    def no_two_honest_hosts_believe_at_once(self) -> None:
        if not self.is_redis_honest or any(each.is_told_to_take_over for each in self.candidates.values()):
            return
        alive = [each for each in self.candidates.values() if each.is_running and each.is_honest]
        believing = [each for each in alive if each.election.mandate(each.now) is not None]
        assert len(believing) <= 1, [each.name for each in believing]


TestCandidates = Candidates.TestCase
TestCandidates.settings = settings(max_examples=150, stateful_step_count=60)
