"""ahead: in order, no further than there is room, and over when nobody wants more."""

import contextvars
import threading

import pytest

from howdah.retrieval.ahead import ahead


def test_the_items_come_in_order_from_another_thread():
    threads = set()

    def made():
        for number in range(100):
            threads.add(threading.current_thread())
            yield number

    assert list(ahead(made(), room=3)) == list(range(100))
    assert threads.isdisjoint({threading.current_thread()})


def test_no_more_is_made_than_there_is_room_for():
    made, full = [], threading.Event()

    def numbers():
        for number in range(100):
            made.append(number)
            if number == 3:
                full.set()
            yield number

    items = ahead(numbers(), room=2)
    assert next(items) == 0
    assert full.wait(5)  # one taken, two wait, and one is at hand that there is no room for
    assert not threading.Event().wait(0.3)
    assert made == [0, 1, 2, 3]
    items.close()
    assert made == [0, 1, 2, 3]


def test_what_the_maker_raises_comes_in_its_place():
    def made():
        yield 1
        raise LookupError("gone")

    items = ahead(made(), room=5)
    assert next(items) == 1
    with pytest.raises(LookupError, match="gone"):
        next(items)


def test_closing_it_closes_the_maker_and_ends_the_thread():
    closed = threading.Event()

    def made():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = threading.active_count()
    items = ahead(made(), room=1)
    next(items)
    items.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_the_maker_sees_the_callers_context():
    said = contextvars.ContextVar("said", default="nothing")
    said.set("a word")
    assert list(ahead((said.get() for _ in range(1)), room=1)) == ["a word"]
