"""The window's rules, and its bound in a simulated run with long-tailed lengths and lost groups."""

import heapq
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.settings.admission_limits import AdmissionLimits
from trainer.curriculum.admission import Admission

LIMITS = st.builds(
    AdmissionLimits,
    staleness=st.integers(0, 4),
    groups_per_step=st.integers(1, 6),
    window_share=st.sampled_from([0.05, 0.3, 0.5, 1.0]),
)


def window_of(limits: AdmissionLimits, groups: int) -> Admission:
    admission = Admission(limits)
    for seq in range(groups):
        admission.dispatched(seq, train=True)
    return admission


def test_the_example_of_the_docstring():
    admission = window_of(AdmissionLimits(2, 4, 0.4), 12)
    assert (admission.limits.slots, admission.limits.window, admission.limits.max_age) == (12, 4, 3)
    admission.take(0)
    assert admission.window == (1, 2, 3, 4)
    for seq in (2, 3, 4):
        admission.take(seq)
    for seq in (0, 2, 3, 4):
        admission.closed(seq)
    assert admission.window == (1,)
    with pytest.raises(ValueError, match="group 5 is not in the window"):
        admission.take(5)
    admission.take(1)
    assert admission.window == (5, 6, 7, 8)
    for seq in (5, 6, 7):
        admission.take(seq)


def test_a_taken_group_keeps_its_slot_until_it_closes():
    admission = window_of(AdmissionLimits(0, 2, 1.0), 2)
    admission.take(0)
    assert admission.free_slots == 0
    admission.closed(0)
    assert admission.free_slots == 1


@pytest.mark.parametrize("overtaking", ["taken", "closed"])
def test_the_window_does_not_slide_past_the_oldest(overtaking):
    admission = window_of(AdmissionLimits(1, 4, 0.3), 8)  # W = 2
    if overtaking == "taken":
        admission.take(1)
    else:
        admission.closed(1)
    assert admission.window == (0,)


def test_closing_the_oldest_moves_the_window():
    admission = window_of(AdmissionLimits(1, 4, 0.3), 8)
    admission.closed(0)
    assert admission.window == (1, 2)


def test_eval_groups_have_no_slot_and_no_position():
    admission = Admission(AdmissionLimits(0, 2, 1.0))
    for seq, train in enumerate([False, True, False, False, True]):
        admission.dispatched(seq, train=train)
    assert admission.window == (1, 4)
    assert admission.free_slots == 0
    admission.closed(0)
    assert admission.free_slots == 0


def test_a_seq_not_heard_of_counts_as_an_open_train_group():
    admission = Admission(AdmissionLimits(1, 4, 0.3))  # W = 2
    for seq in (1, 2):
        admission.dispatched(seq, train=True)
    assert admission.window == (1,)
    admission.dispatched(0, train=False)
    assert admission.window == (1, 2)


def test_repeated_reports_change_nothing():
    admission = window_of(AdmissionLimits(0, 2, 1.0), 2)
    for _ in range(2):
        admission.closed(0)
        admission.dispatched(0, train=True)
    assert (admission.free_slots, admission.window) == (1, (1,))


def test_state_carries_over_a_checkpoint():
    before = window_of(AdmissionLimits(1, 4, 0.3), 8)
    for seq in (0, 1, 3):
        before.closed(seq)
    after = Admission(before.limits, first_seq=2)
    after.closed(3)
    for seq in range(8):
        after.dispatched(seq, train=True)
    assert (after.window, after.free_slots) == (before.window, before.free_slots) == ((2,), 3)


def test_a_learner_that_reopened_more_than_the_slots_gets_no_new_groups():
    admission = window_of(AdmissionLimits(0, 2, 1.0), 5)
    assert (admission.free_slots, admission.open_groups) == (0, 5)


@pytest.mark.parametrize("bad", [(-1, 1, 0.3), (0, 0, 0.3), (0, 1, 0.0), (0, 1, 1.5)])
def test_limits_that_cannot_work_are_refused(bad):
    with pytest.raises(ValueError, match="admission needs"):
        AdmissionLimits(*bad)


class Plain:
    """The rules of the docstring word for word, recomputed whole at each question."""

    def __init__(self, limits: AdmissionLimits, first_seq: int) -> None:
        self.limits = limits
        self.first = first_seq
        self.train: dict[int, bool] = {}
        self.taken: set[int] = set()
        self.gone: set[int] = set()

    def dispatched(self, seq, *, train):
        if seq >= self.first and seq not in self.gone:
            self.train.setdefault(seq, train)

    def take(self, seq):
        self.taken.add(seq)

    def closed(self, seq):
        if seq >= self.first:
            self.gone.add(seq)

    @property
    def open_groups(self):
        return sum(train and seq not in self.gone for seq, train in self.train.items())

    @property
    def window(self):
        frontier = max([*self.train, *self.gone, self.first])
        positions = [seq for seq in range(self.first, frontier + 1) if self.train.get(seq, True)]
        settled = self.taken | self.gone
        anchored = [seq for place, seq in enumerate(positions) if not settled.issuperset(positions[: place + 1])]
        return tuple(seq for seq in anchored[: self.limits.window] if seq in self.train and seq not in settled)


CALLS = st.lists(st.tuples(st.sampled_from(["train", "other", "close", "take"]), st.integers(0, 24)), max_size=80)


@given(LIMITS, st.integers(0, 5), CALLS)
@settings(max_examples=300)
def test_the_cursors_say_what_the_rules_say(limits, first_seq, calls):
    admission, plain = Admission(limits, first_seq), Plain(limits, first_seq)
    for call, number in calls:
        seq = number
        if call == "take":
            if not plain.window:
                continue
            seq = plain.window[number % len(plain.window)]
            assert admission.takeable(seq)
        for each in (admission, plain):
            if call == "take":
                each.take(seq)
            elif call == "close":
                each.closed(seq)
            else:
                each.dispatched(seq, train=call == "train")
        assert (admission.window, admission.open_groups) == (plain.window, plain.open_groups)


@dataclass
class Run:
    """A run on a simulated clock: groups finish after long-tailed times, some are lost on the way."""

    limits: AdmissionLimits
    rng: random.Random
    clock: float = 0.0
    version: int = 0
    born: dict[int, int] = field(default_factory=dict)
    events: list[tuple[float, int]] = field(default_factory=list)
    """(when the group completes, seq), a heap."""
    ready: set[int] = field(default_factory=set)
    batch: list[int] = field(default_factory=list)
    ages: list[int] = field(default_factory=list)
    most_open: int = 0

    def play(self, steps: int) -> None:
        self.admission = Admission(self.limits)
        while self.version < steps:
            self.dispatch()
            self.clock, seq = heapq.heappop(self.events)
            if self.rng.random() < 0.2:
                self.admission.closed(seq)  # expired, failed
            else:
                self.ready.add(seq)
            self.learn()

    def dispatch(self) -> None:
        while self.admission.free_slots:
            seq = len(self.born)
            train = self.rng.random() < 0.9
            self.admission.dispatched(seq, train=train)
            self.born[seq] = self.version
            if train:
                heapq.heappush(self.events, (self.clock + self.rng.paretovariate(0.8), seq))
        self.most_open = max(self.most_open, self.admission.open_groups)

    def learn(self) -> None:
        # Youngest first: the order that makes the oldest groups oldest.
        while candidates := sorted(self.ready & set(self.admission.window), reverse=True):
            seq = candidates[0]
            self.ready.remove(seq)
            self.admission.take(seq)
            if self.rng.random() < 0.2:
                self.admission.closed(seq)  # filtered
                continue
            self.batch.append(seq)
            if len(self.batch) == self.limits.groups_per_step:
                self.step()

    def step(self) -> None:
        self.ages += [self.version - self.born[seq] for seq in self.batch]
        self.version += 1
        for seq in self.batch:
            self.admission.closed(seq)
        self.batch.clear()


@given(LIMITS, st.integers(0, 2**32))
@settings(max_examples=60)
def test_no_group_is_older_than_the_bound(limits, seed):
    run = Run(limits, random.Random(seed))
    run.play(steps=40)
    assert max(run.ages) <= limits.max_age
    assert run.most_open <= limits.slots


def test_the_staleness_bound_is_reached_by_some_order():
    """B - 1 older groups and W - 1 younger ones are trained before the slow one: the bound is tight."""
    limits = AdmissionLimits(staleness=1, groups_per_step=2, window_share=1.0)  # B = W = 4: max_age 1 + ceil(3 / 2)
    admission = window_of(limits, 4)
    slow, version, trained = 3, 0, []
    following = 4
    while admission.window != (slow,):
        seq = next(seq for seq in admission.window if seq != slow)
        admission.take(seq)
        trained.append(seq)
        if len(trained) % 2 == 0:
            version += 1
            for done in trained[-2:]:
                admission.closed(done)
                admission.dispatched(following, train=True)
                following += 1
    assert version == limits.max_age == 3


@given(LIMITS, st.permutations(range(12)))
@settings(max_examples=60)
def test_reading_tickets_in_any_order_never_widens_the_window(limits, order):
    whole = window_of(limits, 12)
    admission = Admission(limits)
    for seq in order:
        admission.dispatched(seq, train=True)
        assert set(admission.window) <= set(whole.window)
    assert admission.window == whole.window
