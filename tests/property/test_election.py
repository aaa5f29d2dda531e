"""Three hosts, drifting clocks, an unreliable Redis: the invariants of daosup.core.election.

Never is anything done under a lease that is over; epochs grow; no two hosts whose clocks only drift believe at once;
no lease is taken away but by the one that was told to; and when all is well there is a master within the lease time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Optional

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from daosup.core import actions as do
from daosup.core import events as e
from daosup.core.election import Election
from daosup.core.lease import LEASE_TTL_S, LOOK_INTERVAL_S
from daosup.core.registry_values import Instance
from daosup.core.types import HostSign, Role
from tests.property.lease_model import LEASE_ORDERS, LeaseModel

STEP_S = 0.5
#: Within what the guard covers.
RATES = st.sampled_from([0.905, 1.0, 1.095])
NAMES = st.sampled_from(["a", "b", "c"])
WISHES = {"a": None, "b": Role.MASTER, "c": None}
BEGAN_S = 1.7e9
GHOST = HostSign("ghost", "minion", "long ago", None, is_lasting=True)


@dataclass(frozen=True)
class Weather:
    """How things are for one host: how long its orders and the answers travel, and what it is prevented from."""

    order_s: float = 0.0
    answer_s: float = 0.0
    is_cut: bool = False
    is_frozen: bool = False
    is_suspended: bool = False


FAIR = Weather()
WEATHERS = st.sampled_from(
    [
        FAIR,
        FAIR,
        FAIR,
        Weather(answer_s=1.0),
        Weather(answer_s=8.0),
        Weather(order_s=4.0),
        Weather(order_s=4.0, answer_s=4.0),
        Weather(is_cut=True),
        Weather(is_frozen=True),
        Weather(is_suspended=True),
    ]
)


@dataclass
class Candidate:
    """One host, what is under way to and from it, and whether its clock ever stood still or jumped."""

    name: str
    election: Election
    instance: Instance
    rate: float
    now: float
    is_told_to_take_over: bool
    was_suspended: bool = False
    has_jumped: bool = False
    is_running: bool = True
    is_connected: bool = False
    orders: deque[do.Action] = field(default_factory=deque)
    under_way: Optional[do.Action] = None
    under_way_s: float = 0.0
    answer: Optional[e.Event] = None
    answered: list[e.Event] = field(default_factory=list)


class Candidates(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.redis = LeaseModel(BEGAN_S)
        self.candidates: dict[str, Candidate] = {}
        self.starts = 0
        self.real_s = self.renewed_s = self.gap_s = 0.0
        self.is_redis_honest = True
        self.was_set_back = self.has_lost_counter = False
        self.acted = 0

    @initialize(rates=st.tuples(RATES, RATES, RATES), is_takeover=st.booleans(), seconds=st.sampled_from([0, 5]))
    def begin(self, rates: tuple[float, float, float], is_takeover: bool, seconds: int) -> None:
        for name, rate in zip("abc", rates):
            self._start(name, rate, is_takeover=is_takeover and name == "b")
        self._run(seconds, {})

    def _start(self, name: str, rate: float, *, is_takeover: bool) -> None:
        self.starts += 1
        instance = Instance(f"{name}{self.starts}", 2, "1", self.starts, "10.0.0.1")
        election = Election(name, instance.instance, WISHES[name], is_takeover=is_takeover)
        self.candidates[name] = Candidate(name, election, instance, rate, 1000.0 * self.starts, is_takeover)

    # -- what a host does

    def _tell(self, candidate: Candidate, event: Optional[e.Event]) -> None:
        """Let a host know something, as daosup.core.host does; None is a tick."""
        election, now = candidate.election, candidate.now
        actions: list[do.Action] = []
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
            if not isinstance(action, do.Report):
                candidate.orders.append(action)
        lease = election.mandate(now)
        if lease is not None and event is None and not candidate.orders:
            candidate.orders.append(do.Evict(lease, "ghost", "long ago"))
        if election.refusal is not None:
            assert WISHES[candidate.name] is Role.MASTER
            self._end(candidate)

    def _end(self, candidate: Candidate) -> None:
        candidate.is_running = False
        candidate.orders.extend(candidate.election.give_up(candidate.now, is_connected=candidate.is_connected))

    def _live(self, candidate: Candidate, weather: Weather) -> None:
        """A step of a host's life: its link carries one order at a time."""
        if candidate.under_way is not None and self.real_s >= candidate.under_way_s + weather.order_s:
            candidate.answer = self._perform(candidate, candidate.under_way)
            candidate.under_way, candidate.under_way_s = None, self.real_s
        if weather.is_frozen or weather.is_suspended:
            return
        if weather.is_cut:
            candidate.is_connected, candidate.under_way, candidate.answer = False, None, None
            candidate.orders.clear()
        if candidate.is_running:
            is_new = not candidate.is_connected and not weather.is_cut
            candidate.is_connected |= is_new
            self._tell(candidate, e.RegistryConnected("redis") if is_new else None)
        self._talk(candidate, weather)

    def _talk(self, candidate: Candidate, weather: Weather) -> None:
        for _ in range(6):
            if candidate.answer is not None and self.real_s >= candidate.under_way_s + weather.answer_s:
                answer, candidate.answer = candidate.answer, None
                if candidate.is_running:
                    candidate.answered.append(answer)
                    self._tell(candidate, answer)
            if candidate.under_way is None and candidate.answer is None and candidate.orders:
                order = candidate.orders.popleft()
                candidate.under_way_s = self.real_s
                if weather.order_s:
                    candidate.under_way = order
                else:
                    candidate.answer = self._perform(candidate, order)

    # -- what Redis does

    def _perform(self, candidate: Candidate, order: do.Action) -> Optional[e.Event]:
        if isinstance(order, LEASE_ORDERS):
            before = self.redis.current()
            answer = self.redis.perform(order, candidate.name, candidate.instance)
            if isinstance(order, do.TakeLease) and before != self.redis.current():
                self._check_taking(candidate, before)
            is_ours = answer.holder is not None and answer.holder.instance == candidate.instance.instance
            if is_ours and isinstance(order, (do.TakeLease, do.RenewLease)):
                self.gap_s = self.real_s - self.renewed_s if before == answer.value else 0.0
                self.renewed_s = self.real_s
            return answer
        if isinstance(order, do.ReadHosts):
            return e.HostsSeen((GHOST,), self.redis.now_s)
        assert isinstance(order, do.Evict)
        if not self.redis.holds(order.lease):
            note(f"{candidate.name} is refused in epoch {order.lease.epoch}")
            return e.ActRefused(f"remove {order.host}", order.lease.epoch)
        assert order.lease.instance == candidate.instance.instance
        assert order.lease == self.redis.taken[-1], "an act under a lease that is over"
        assert order.lease.epoch >= self.acted or self._may_epochs_shrink
        self.acted = order.lease.epoch
        return None

    def _check_taking(self, candidate: Candidate, before: bytes) -> None:
        # The gap: if Redis's clock was set back, a master too late to be one may renew while another is taking.
        is_over = max(self.real_s - self.renewed_s, self.gap_s) > 0.95 * LEASE_TTL_S or candidate.has_jumped
        if before.startswith(b"{") and not is_over:
            is_predecessor = b'"host": "%s"' % candidate.name.encode() in before
            assert is_predecessor or candidate.is_told_to_take_over, f"{candidate.name} stole {before!r}"
        epochs = [lease.epoch for lease in self.redis.taken]
        assert epochs[-1] > max(epochs[:-1], default=0) or self._may_epochs_shrink, "an epoch that does not grow"

    @property
    def _may_epochs_shrink(self) -> bool:
        """Only if Redis lost both its clock and its memory, and then for a host that knows no other."""
        return self.was_set_back and self.has_lost_counter

    # -- time

    def _run(self, seconds: float, weathers: dict[str, Weather]) -> None:
        for _ in range(int(seconds / STEP_S)):
            self.real_s += STEP_S
            self.redis.now_s += STEP_S
            for name, candidate in self.candidates.items():
                weather = weathers.get(name, FAIR)
                candidate.was_suspended |= weather.is_suspended
                if not weather.is_suspended:
                    candidate.now += STEP_S * candidate.rate
                self._live(candidate, weather)
            self._check_belief()

    @rule(
        seconds=st.sampled_from([0.5, 1.0, 3.0, 6.0, 12.0, 30.0]),
        weathers=st.fixed_dictionaries({"a": WEATHERS, "b": WEATHERS, "c": WEATHERS}),
    )
    def time_passes(self, seconds: float, weathers: dict[str, Weather]) -> None:
        self._run(seconds, weathers)

    @rule(name=NAMES, answer_s=st.sampled_from([3.0, 6.0, 8.0]))
    def a_link_is_slow_then_cut(self, name: str, answer_s: float) -> None:
        self._run(2 * answer_s + STEP_S, {name: Weather(answer_s=answer_s)})
        self._run(2 * LEASE_TTL_S, {name: Weather(is_cut=True)})

    @rule(name=NAMES, seconds=st.sampled_from([5.0, 3600.0]))
    def a_clock_jumps(self, name: str, seconds: float) -> None:
        self.candidates[name].has_jumped = True
        self.candidates[name].now += seconds  # a monotonic clock never goes back

    @rule(seconds=st.sampled_from([-3600.0, -7.0, 7.0, 3600.0]))
    def redis_clock_jumps(self, seconds: float) -> None:
        self.is_redis_honest = False
        self.was_set_back |= seconds < 0
        self.redis.now_s += seconds

    @rule(is_counter_kept=st.booleans())
    def redis_forgets(self, is_counter_kept: bool) -> None:
        self.is_redis_honest = False
        counter = self.redis.counter
        self.redis.flush()
        self.redis.counter = counter if is_counter_kept else None
        self.has_lost_counter |= not is_counter_kept

    # -- links and hosts

    @rule(name=NAMES, number=st.integers(0, 20))
    def an_old_answer_is_repeated(self, name: str, number: int) -> None:
        candidate = self.candidates[name]
        if candidate.answered and candidate.is_running:
            self._tell(candidate, candidate.answered[-1 - number % len(candidate.answered)])

    @rule(name=NAMES)
    def an_order_is_carried_out_twice(self, name: str) -> None:
        candidate = self.candidates[name]
        if candidate.orders and candidate.is_connected:
            self._perform(candidate, candidate.orders[0])

    @rule(name=NAMES, is_polite=st.booleans(), is_takeover=st.booleans())
    def is_restarted(self, name: str, is_polite: bool, is_takeover: bool) -> None:
        candidate = self.candidates[name]
        if is_polite and candidate.is_running and candidate.is_connected:
            self._end(candidate)
            for order in [candidate.under_way, *candidate.orders]:
                if order is not None:
                    self._perform(candidate, order)
            assert candidate.instance.instance.encode() not in self.redis.current(), "it ended and kept the lease"
        self._start(name, candidate.rate, is_takeover=is_takeover and name == "b")

    @rule()
    def all_goes_well(self) -> None:
        self._run(LEASE_TTL_S + LOOK_INTERVAL_S + 2 * STEP_S, {})
        self._check_settled()

    # -- what always holds

    def _check_belief(self) -> None:
        if not self.is_redis_honest or any(each.is_told_to_take_over for each in self.candidates.values()):
            return
        alive = [each for each in self.candidates.values() if each.is_running and not each.was_suspended]
        believing = [each.name for each in alive if each.election.mandate(each.now) is not None]
        assert len(believing) <= 1, f"{believing} believe at once"

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


TestCandidates = Candidates.TestCase
TestCandidates.settings = settings(max_examples=200, stateful_step_count=20)
