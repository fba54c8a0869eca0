"""Requests and replies survive the way there and back; anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.footage.chunk import Refusal
from firmware.footage.recorder_wire import (
    REPLY_BYTES,
    Add,
    Begin,
    End,
    Reply,
    Request,
    Status,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)

numbers = st.integers(0, 2**32 - 1)
times = st.integers(-(2**63), 2**63 - 1)
requests = st.one_of(
    st.builds(Begin, numbers, st.text("abcdefghij0123456789", min_size=62, max_size=62)),
    st.builds(Add, numbers, numbers, numbers, times, st.booleans()),
    st.builds(End, numbers),
)
replies = st.builds(
    Reply, st.sampled_from(Status), numbers, st.integers(0, 2**16 - 1), numbers, times, times, st.integers(0, 2**64 - 1)
)


@given(requests)
def test_requests_arrive_as_they_were_sent(request: Request) -> None:
    assert decode_request(encode_request(request)) == request


@given(replies)
def test_replies_arrive_as_they_were_sent_and_are_of_one_size(reply: Reply) -> None:
    message = encode_reply(reply)
    assert len(message) == REPLY_BYTES < 64
    assert decode_reply(message) == reply


@given(st.binary(max_size=100))
def test_noise_is_refused_or_means_one_thing(noise: bytes) -> None:
    try:
        request = decode_request(noise)
    except ValueError:
        pass
    else:
        assert decode_request(encode_request(request)) == request
    try:
        reply = decode_reply(noise)
    except ValueError:
        return
    assert decode_reply(encode_reply(reply)) == reply


@given(requests, st.binary(min_size=1, max_size=3))
def test_a_request_too_long_or_too_short_is_refused(request: Request, more: bytes) -> None:
    message = encode_request(request)
    for wrong in (message + more, message[:-1], b""):
        with pytest.raises(ValueError, match="not a request"):
            decode_request(wrong)


def test_a_refusal_keeps_its_number_on_the_way() -> None:
    assert {Status(refusal).name for refusal in Refusal} == {refusal.name for refusal in Refusal}
