"""Ask the other end of a TCP connection who opened it (RFC 1413).

The answer is what the other machine cares to say: fit for a log, not for a decision.
"""

from __future__ import annotations

import socket
import time

from ucspi.ip import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ucspi.environ import End

PORT = 113
LONGEST = 257  # bytes of a user name that we keep, as the original
LONGEST_PATIENCE = 86400.0  # seconds
TOO_MUCH = 1000  # bytes of an answer that we read before we give up (RFC 1413, section 6, has less)


def remote_user(local: End, remote: End, seconds: float, port: int = PORT) -> bytes | None:
    """Who opened the connection between *local* and *remote*, according to the remote machine.

    Args:
        local: our end of the connection; we ask from its address.
        remote: the other end.
        seconds: how long all of it may take.
        port: where the other machine answers such questions.

    Returns:
        The user, without blanks; empty when the other machine will not tell; None when
        it does not answer in time or not at all.
    """
    seconds = min(max(seconds, 0.001), LONGEST_PATIENCE)
    deadline = time.monotonic() + seconds
    try:
        with socket.socket(family(remote.ip), socket.SOCK_STREAM) as asking:
            asking.settimeout(seconds)
            asking.bind(local.address(0))
            asking.connect(remote.address(port))
            asking.sendall(b"%d , %d\r\n" % (remote.port, local.port))
            return user_in(answer_line(asking, deadline))
    except OSError:
        return None


def answer_line(asking: socket.socket, deadline: float) -> bytes:
    """The one line that the other side answers, without its line feed.

    Raises:
        OSError: it took too long or was cut short.
    """
    answer = b""
    while b"\n" not in answer and len(answer) < TOO_MUCH:
        asking.settimeout(max(deadline - time.monotonic(), 0.001))
        more = asking.recv(TOO_MUCH)
        if not more:
            raise ConnectionAbortedError
        answer += more
    return answer.split(b"\n", 1)[0]


def user_in(answer: bytes) -> bytes:
    """The user in `port , port : USERID : system : user`; empty for an ERROR, which has no fourth field."""
    fields = answer.split(b":", 3)
    return fields[3].translate(None, b" \t\r")[:LONGEST] if len(fields) == 4 else b""
