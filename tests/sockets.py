"""What a test puts before a program that must not open a socket: the first attempt says so and ends it."""

from __future__ import annotations

BLOCK_SOCKETS = """
import os, socket, sys
def refuse(*_, **__):
    print("OPENED A SOCKET", flush=True)
    os._exit(66)  # not an exception: nothing below may catch it and go on
socket.socket.__init__ = socket.create_connection = socket.getaddrinfo = refuse
"""
