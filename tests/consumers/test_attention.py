import math

import pytest

from regulars.consumers.attention import open_probability, overload, reaches
from regulars.consumers.priors import medians
from regulars.terms import Channel

WORLD = medians()
EMAIL, STORE = int(Channel.EMAIL), int(Channel.STORE)


def test_at_a_full_budget_and_nothing_expected_the_base_rate_opens():
    assert overload(15.0, 10.0, 25.0, EMAIL) == pytest.approx(0.0, abs=1e-12)
    chance = open_probability(WORLD, 0.0, 0, EMAIL, 0.0)
    assert chance == pytest.approx(1 / (1 + math.exp(-WORLD.open_base)))


def test_the_mail_of_all_senders_crowds_out_each():
    few, many = (open_probability(WORLD, 0.0, 0, EMAIL, overload(e, 2.0, 25.0, EMAIL)) for e in (10.0, 60.0))
    assert many < 0.5 * few


def test_paper_and_the_store_crowd_no_inbox():
    assert overload(500.0, 50.0, 5.0, int(Channel.MAIL)) == overload(500.0, 50.0, 5.0, STORE) == 0.0


def test_she_opens_more_from_a_sender_of_whom_she_expects_more():
    low, high = (open_probability(WORLD, value, 0, EMAIL, 0.0) for value in (-0.4, 0.4))
    assert high > low


def test_a_filtered_sender_is_rarely_opened_but_in_the_store_there_is_no_filter():
    plain, filtered = (open_probability(WORLD, -0.6, f, EMAIL, 0.0) for f in (0, 1))
    assert filtered == pytest.approx(WORLD.filter_passes * plain)
    assert open_probability(WORLD, -0.6, 1, STORE, 0.0) == open_probability(WORLD, -0.6, 0, STORE, 0.0)


def test_a_text_message_is_opened_more_than_an_email():
    assert open_probability(WORLD, 0.0, 0, int(Channel.SMS), 0.0) > open_probability(
        WORLD, 0.0, 0, EMAIL, 0.0
    )


@pytest.mark.parametrize("channel", Channel)
def test_unsubscribing_closes_one_channel_and_shutting_out_all(channel):
    others = [int(c) for c in Channel if c != channel]
    assert not reaches(0, 1 << channel, int(channel))
    assert all(reaches(0, 1 << channel, other) for other in others)
    assert not reaches(1, 0, int(channel))
