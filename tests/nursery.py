"""Children of test workers, forked where what they import is imported already.

A worker starts each child as `python -m backend.jobs.child MODULE`, and importing torch, ModelOpt
and the ONNX tools takes most of what the child costs. Here the same module is run, with the same
arguments, pipes, environment and parent, in a process forked from one that has imported them.
Children of other modules, such as `backend.images.try_model`, are started as the worker does it.
"""

import ctypes
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
from typing import Any, NoReturn

from backend.jobs.children import PARENT, die_with_parent

CHILD = ["-m", "backend.jobs.child"]
WARM = (
    "backend.chat.dequantise",
    "backend.engines.build",
    "backend.engines.preexported",
    "backend.engines.prepare",
    "backend.engines.times",
    "backend.engines.try_onnx",
    "backend.engines.validate",
    "backend.networks.convert",
    "backend.networks.language",
    "backend.networks.look",
    "backend.networks.run",
    "backend.networks.session",
    "backend.networks.write",
    "backend.quantize.diffusion",
    "backend.quantize.images.paint",
    "backend.quantize.images.sensitivity",
    "backend.quantize.language.verify",
    "backend.quantize.language.work",
)
LATER = (
    "backend.engines.export",
    "modelopt.torch.export",
    "modelopt.torch.quantization",
    "onnxslim",
)
"""What they import once they know that they need it."""
PR_SET_CHILD_SUBREAPER = 36
MOST_BYTES = 1 << 20


def preload() -> None:
    for module in (*WARM, *LATER):
        importlib.import_module(module)


def open_nursery() -> None:
    """Have this process's children forked from now on. Called before it has threads.

    The child becomes this process's own: the one that forked it ends at once, and orphans come to
    the nearest subreaper (prctl(2), Linux).
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    worker = os.getpid()
    if os.fork() == 0:
        ours.close()
        os.environ[PARENT] = str(worker)
        die_with_parent()
        _fork_on_request(theirs)
    theirs.close()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)

    one_at_a_time = threading.Lock()

    class WarmChild(subprocess.Popen[Any]):
        def _execute_child(self, args: Any, *more: Any) -> None:
            if args[1:3] != CHILD or args[3] not in WARM:
                super()._execute_child(args, *more)  # type: ignore[misc]
                return
            environment, pipes = more[5], more[9:15]
            asked = {"argv": args[2:], "environment": environment}
            with one_at_a_time:
                socket.send_fds(ours, [json.dumps(asked).encode()], [pipes[0], pipes[3], pipes[5]])
                self.pid = int(ours.recv(MOST_BYTES))
            self._child_created = True
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    subprocess.Popen = WarmChild  # type: ignore[misc]


def _fork_on_request(requests: socket.socket) -> NoReturn:
    """Answers each request with the child's process id once the child is the worker's own."""
    told_here, told_there = os.pipe()
    while True:
        told, pipes, _, _ = socket.recv_fds(requests, MOST_BYTES, 3)
        if not told:
            os._exit(0)
        between = os.fork()
        if between == 0:
            parent, child = os.getpid(), os.fork()
            if child == 0:
                _be_child(json.loads(told), pipes, parent)
            os.write(told_there, str(child).encode())
            os._exit(0)
        os.waitpid(between, 0)
        requests.send(os.read(told_here, MOST_BYTES))
        for pipe in pipes:
            os.close(pipe)


def _be_child(asked: dict[str, Any], pipes: list[int], parent: int) -> NoReturn:
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
    os.environ.clear()
    os.environ.update(asked["environment"])
    while os.getppid() == parent:
        time.sleep(0.001)
    os.closerange(3, MOST_BYTES)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in enumerate("rww"))
    sys.argv = asked["argv"]
    del sys.modules[sys.argv[1]]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(sys.exc_info()[0] is not None)
