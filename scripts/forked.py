"""Processes of this machine that train together, forked from one that has torch loaded.

A fork costs no start of Python. The environment is that which ``torchrun`` gives its ranks.
"""

import os
import signal
import socket
import sys
import time

LOST = 3  # exit code of a rank that told that another one is gone


def fork(action):
    """The pid of a child that does ``action`` and is gone; its errors go to the standard error."""
    pid = os.fork()
    if pid == 0:
        from mien.errors import RankLostError

        code = 1
        try:
            action()
            code = 0
        except RankLostError:
            code = LOST
        finally:
            sys.stderr.flush()
            os._exit(code)
    return pid


def start(action, ranks=1):
    """The processes of one life, the first rank first. More ranks than one come with DDP."""
    if ranks == 1:
        return [fork(action)]
    port = _free_port()
    return [fork(lambda rank=rank: _as_rank(action, rank, ranks, port)) for rank in range(ranks)]


def _as_rank(action, rank, ranks, port):
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), GROUP_RANK="0", WORLD_SIZE=str(ranks),
        LOCAL_WORLD_SIZE=str(ranks), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID="forked",
    )  # fmt: skip
    action()


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait(pids, patience=20.0):
    """Exit codes, negative for signals.

    Once one has failed the others have ``patience`` seconds to end by themselves, as under
    torchrun; then they are killed.
    """
    codes, limit = {}, None
    while len(codes) < len(pids):
        for pid in pids:
            if pid in codes:
                continue
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                codes[pid] = os.waitstatus_to_exitcode(status)
                if codes[pid] != 0 and limit is None:
                    limit = time.monotonic() + patience
        if limit is not None and time.monotonic() > limit:
            for pid in pids:
                if pid not in codes:
                    os.kill(pid, signal.SIGKILL)
            limit = None
        time.sleep(0.005)
    return [codes[pid] for pid in pids]
