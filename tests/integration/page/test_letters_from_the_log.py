"""The dead letters of a run as its page reads them, from a real broker."""

import pytest
from support.broker_run import RunOnBroker, run_settings
from support.messages import ticket

from infra.advice.story import UnknownNameError
from infra.page.readers.letters import LettersLog
from streams.clients import confirm, make_producer, send
from streams.codec import DecodeError, encode, headers_of
from streams.dead_letters import dead_letter
from streams.records import Record
from streams.topics import Topic, topic_name

SCRIPT = "<script>document.title = 'broken'</script>"


def test_letters_are_counted_and_one_is_shown_as_far_as_it_decodes(bootstrap, tmp_path):
    settings = run_settings(bootstrap)
    run = RunOnBroker(settings, bootstrap, tmp_path)
    topic = topic_name(settings.topics.prefix, Topic.DEAD_LETTERS)
    asked = ticket(0)
    good = Record("prompts", 0, 7, 0.0, b"run:0", encode(asked), tuple(headers_of(asked)))
    broken = Record("rollouts", 1, 8, 0.0, b"\xff", SCRIPT.encode(), ())
    producer = make_producer(settings.broker, bootstrap)
    try:
        letters = [
            dead_letter(good, ValueError("its domain is empty"), "rollout", topic, now=100.0),
            dead_letter(broken, DecodeError(SCRIPT), "router", topic, now=200.0),
        ]
        confirm(producer, [send(producer, letter) for letter in letters], 30.0)
    finally:
        producer.close()
        run.close()
    log = LettersLog(settings, bootstrap)
    view = log.view()
    assert (view.missing, view.read, view.all) == ("", 2, True)
    assert [(row.topic, row.letters) for row in view.counts] == [("prompts", 1), ("rollouts", 1)]
    assert [line.reason for line in view.letters] == [SCRIPT, "its domain is empty"]
    newest, oldest = (tuple(map(int, line.id.split(":"))) for line in view.letters)
    shown = log.one(*newest)
    assert bytes.fromhex(shown.letter["body"]["hex"]) == SCRIPT.encode()
    assert (shown.previous, shown.next) == (None, view.letters[1].id)
    assert shown.replay == f"rewardstream dead-letters replay {view.letters[0].id} --run {settings.run.id}"
    assert log.one(*oldest).letter["body"]["group_id"] == asked.group_id
    with pytest.raises(UnknownNameError, match="no dead letter 9:9"):
        log.one(9, 9)


@pytest.mark.parametrize(("address", "why"), [("", "not available"), ("127.0.0.1:1", "does not answer")])
def test_a_log_that_is_away_is_said(address, why):
    log = LettersLog(run_settings(address or "127.0.0.1:1"), address)
    assert why in log.view().missing
    with pytest.raises(UnknownNameError, match=why):
        log.one(0, 0)
