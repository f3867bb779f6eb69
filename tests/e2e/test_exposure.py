"""Embedded mode is for one machine: nothing listens where another could reach it."""

from support.sockets import listening_of


def test_every_listening_socket_of_the_stack_is_on_loopback(stack):
    sockets = listening_of(stack.process_ids())

    assert len(sockets) >= 8
    assert [entry.port for entry in sockets if not entry.is_on_loopback] == []
