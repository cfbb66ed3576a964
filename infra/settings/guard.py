"""Settings of the guard against reward hacking; trainer/guard/confirmation.py states its test."""

from typing import Annotated, Literal

from pydantic import Field

from infra.settings.section import Fraction, NumberUnit, Seconds, SettingsSection


class GuardSettings(SettingsSection):
    """The guard, which watches whether a second scorer confirms the reward's rise on held-out prompts."""

    action: Literal["off", "warn", "reweight", "stop"] = "warn"
    """Effect of an alarm. `warn`: it is logged, exported and reported, with the version at which it was raised.
    `reweight`: also, the share of the route's domains in dispatch is multiplied by `factor`. `stop`: also, training
    ends with the alarm as its reason; the last evaluation still runs. The default is `warn`: whether a judge is being
    exploited or has met answers that are better than its rival knows is for a person to decide."""
    factor: Fraction = 0.25
    """Factor on the dispatch share of an alarmed domain if `action` is `reweight`. A quarter takes most of the pressure
    off the judge, and leaves enough groups to see whether the alarm was right; 0 takes the domain out of training."""
    false_alarm_rate: Annotated[float, Field(gt=0, lt=1), NumberUnit("probability")] = 0.05
    """Largest probability of any false alarm in a whole run, all routes and domains together. A lower rate raises an
    alarm later: one at 0.005 needs a difference that is about a fifth larger."""
    margin: Fraction = 0.02
    """Smallest rise that counts: how much more of the held-out responses only the scorer of training passes than
    before, as a fraction of all. Two honest scorers differ by a few in a hundred, and not always by the same few."""
    confirmed_share: Fraction = 0.5
    """Fraction of the reward's rise that the second scorer must confirm. A strict scorer that knows fewer forms of a
    right answer confirms less than all of an honest rise; below half, most of the rise is not real."""
    wait_seconds: Seconds = 60.0
    """Longest wait for the second scores of an evaluation that is finished; it is then judged by those that came. A
    verifier needs seconds for a few hundred responses, a judge on its own server a minute."""
