"""HTTP as it goes over the wire: an answer leaves in one piece, whatever the client's ways."""

import json
import socket
import time

import pytest

from regulars.service import http

from .test_clients import Listening

BODY = b'{"userId": "anna", "channel": "app"}'


@pytest.fixture
def line(desk):
    """A connection to the service, as bytes."""
    listening = Listening(desk)
    with socket.create_connection(listening.socket.getsockname(), timeout=10) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened
    listening.close()


@pytest.fixture
def impatient(desk, monkeypatch):
    """The address of a service that waits for nobody."""
    monkeypatch.setattr(http, "PATIENCE_S", 1.5)
    listening = Listening(desk)
    yield listening.socket.getsockname()
    listening.close()


def asking(desk, *more, path=b"/v1/decisions", method=b"POST"):
    head = [
        method + b" " + path + b" HTTP/1.1",
        b"Host: x",
        b"Authorization: Bearer " + desk.live.keys["serve"].encode(),
        *more,
    ]
    return b"\r\n".join([*head, b"", b""])


def one_answer(line, so_far=b""):
    """Head and body of the next answer, what came after it, and how many pieces it came in."""
    pieces = 0
    while True:
        head, end, rest = so_far.partition(b"\r\n\r\n")
        if end:
            size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(rest) >= size:
                return head, rest[:size], rest[size:], pieces
        more = line.recv(1 << 20)
        assert more, so_far
        so_far, pieces = so_far + more, pieces + 1


def decided(head, body):
    return head.startswith(b"HTTP/1.1 200 OK") and b'"action":"' in body


def test_an_answer_comes_in_one_piece(desk, line):
    size = b"Content-Length: %d" % len(BODY)
    for _ in range(20):
        line.sendall(asking(desk, size) + BODY)
        head, body, rest, pieces = one_answer(line)
        assert decided(head, body) and rest == b""
        assert pieces == 1


def test_requests_that_follow_at_once_are_answered_in_turn(desk, line):
    size = b"Content-Length: %d" % len(BODY)
    line.sendall(3 * (asking(desk, size) + BODY))
    rest = b""
    for _ in range(3):
        head, body, rest, _ = one_answer(line, rest)
        assert decided(head, body)
    assert rest == b""


def test_whoever_waits_to_be_told_to_go_on_is_told(desk, line):
    line.sendall(asking(desk, b"Content-Length: %d" % len(BODY), b"Expect: 100-continue"))
    assert line.recv(1 << 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    line.sendall(BODY)
    head, body, _, _ = one_answer(line)
    assert decided(head, body)


def test_who_hangs_up_after_it_has_the_whole_answer(desk, line):
    line.sendall(asking(desk, b"Content-Length: %d" % len(BODY), b"Connection: close") + BODY)
    head, body, rest, _ = one_answer(line)
    assert decided(head, body) and rest == b"" and line.recv(1) == b""


def test_an_answer_without_a_body_does_not_wait_for_one(desk, line):
    line.sendall(asking(desk, method=b"HEAD", path=b"/openapi.json"))
    told = line.recv(1 << 20)
    assert told.startswith(b"HTTP/1.1 ") and told.endswith(b"\r\n\r\n")
    line.sendall(asking(desk, b"Content-Length: %d" % len(BODY)) + BODY)
    head, body, _, _ = one_answer(line)
    assert decided(head, body)


def test_who_asks_for_the_head_alone_and_hangs_up_gets_it(desk, line):
    line.sendall(asking(desk, b"Connection: close", method=b"HEAD", path=b"/openapi.json"))
    told = b""
    while more := line.recv(1 << 20):
        told += more
    assert told.startswith(b"HTTP/1.1 ") and told.endswith(b"\r\n\r\n")


def all_said(line):
    told = b""
    while more := line.recv(1 << 20):
        told += more
    return told


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"FOO / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_words_and_hung_up_on(line, sent):
    line.sendall(sent)
    head, _, body = all_said(line).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"application/problem+json" in head
    told = json.loads(body)
    assert told["code"] == "http" and "Send a request of HTTP/1.1" in told["message"]


@pytest.mark.parametrize("about", [{"path": b"/" + b"x" * 70_000}, {"more": b"X-A: " + b"y" * 70_000}])
def test_a_head_that_is_too_large_is_told_so(desk, line, about):
    line.sendall(asking(desk, about.get("more", b"X-A: y"), path=about.get("path", b"/v1/decisions")))
    head, _, body = all_said(line).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ") and json.loads(body)["code"] == "too_large"


def test_a_body_that_will_be_too_large_is_refused_before_it_is_sent(desk, line):
    line.sendall(asking(desk, b"Content-Length: 1000000000000", b"Expect: 100-continue"))
    head, _, body = all_said(line).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 413 ") and json.loads(body)["code"] == "too_large"


@pytest.mark.parametrize("sent", [b"", b"POST /v1/dec", None])
def test_who_does_not_finish_a_request_is_hung_up_on(desk, impatient, sent):
    with socket.create_connection(impatient, timeout=10) as line:
        line.sendall(asking(desk, b"Content-Length: 100") + b"half" if sent is None else sent)
        assert line.recv(1 << 20) == b""


def test_who_finishes_in_time_is_answered_however_long_the_connection_lasts(desk, impatient):
    with socket.create_connection(impatient, timeout=10) as line:
        for _ in range(4):
            line.sendall(asking(desk, b"Content-Length: %d" % len(BODY)) + BODY[:9])
            time.sleep(0.3)
            line.sendall(BODY[9:])
            head, body, _, _ = one_answer(line)
            assert decided(head, body)
            time.sleep(0.3)


def test_who_begins_the_next_request_with_the_last_bytes_of_one_has_time_for_each(desk, impatient):
    request = asking(desk, b"Content-Length: %d" % len(BODY)) + BODY
    stream, step = 8 * request, len(request) + 7
    with socket.create_connection(impatient, timeout=10) as line:
        for first in range(0, len(stream), step):
            line.sendall(stream[first : first + step])
            time.sleep(0.3)
        rest = b""
        for _ in range(8):
            head, body, rest, _ = one_answer(line, rest)
            assert decided(head, body)
