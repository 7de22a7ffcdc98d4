# SPDX-License-Identifier: GPL-3.0-or-later
"""How clients reach a scratch server, beside which programs of a copy run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fanout.contract.errors import Unavailable
from fanout.sources.postgresql import scratch_server

NAME = ".s.PGSQL.5432"


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(0)
    return listener


def test_clients_reach_the_socket_that_was_there_whatever_is_put_in_its_place(tmp_path: Path) -> None:
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    with scratch_server._way(sockets, tmp_path / "way") as (way, hold):
        with pytest.raises(Unavailable):
            hold()
        with listening(sockets / NAME) as ours, listening(tmp_path / "other") as other:
            hold()
            (sockets / NAME).unlink()
            (sockets / NAME).symlink_to(tmp_path / "other")
            hold()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(way / NAME))
            ours.accept()[0].close()
            with pytest.raises(BlockingIOError):
                other.accept()


def test_a_link_that_is_there_from_the_beginning_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    with listening(tmp_path / "other"), scratch_server._way(tmp_path, tmp_path / "way") as (way, hold):
        hold()
        with socket.socket(socket.AF_UNIX) as client, pytest.raises(OSError, match=r"refused|symbolic links"):
            client.connect(str(way / NAME))
