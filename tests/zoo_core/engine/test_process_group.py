"""The loss of another process is recognized by the messages of torch, which each version of torch has to have."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess

import pytest
import torch.distributed as dist
from warm_python import PYTHON

from zoo_core.engine.process_group import tells_of_lost_process

PROGRAM = """
import json, os, signal, sys
from datetime import timedelta
import torch, torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from zoo_core.engine.process_group import tells_of_lost_process

what, rank = sys.argv[1], int(os.environ["RANK"])

def leave():
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)

store = dist.TCPStore("127.0.0.1", int(os.environ["MASTER_PORT"]), 2, rank == 0, timedelta(seconds=60), False)
if what == "rendezvous":
    leave()
try:
    waits = timedelta(seconds=5 if what == "rendezvous" else 60)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=waits)
    one, many = torch.ones(3), [torch.ones(3) for _ in range(2)]
    network = DistributedDataParallel(nn.Linear(3, 1))
    network(one).sum().backward()
    leave()
    for _ in range(100):
        if what == "all_reduce":
            dist.all_reduce(one)
        elif what == "all_gather":
            dist.all_gather(many, one)
        elif what == "broadcast":
            dist.broadcast(one, src=1)
        elif what == "barrier":
            dist.barrier()
        elif what == "backward":
            network(one).sum().backward()
        elif what == "objects":
            dist.all_gather_object([None, None], {"a": 1})
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)[:300], tells_of_lost_process(error)]), flush=True)
os._exit(0)
"""
CALLS = ["all_reduce", "all_gather", "broadcast", "barrier", "backward", "objects", "rendezvous"]


@pytest.mark.parametrize("call", CALLS)
def test_every_call_of_torch_that_fails_since_another_process_has_ended_says_so(call: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
    with contextlib.ExitStack() as started:
        processes = [
            started.enter_context(
                subprocess.Popen(
                    [PYTHON, "-c", PROGRAM, call],
                    env={**os.environ, "RANK": str(rank), "MASTER_PORT": port},
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for rank in range(2)
        ]
        said, _ = processes[0].communicate(timeout=300)
    assert said, "nothing was raised"
    name, message, recognized = json.loads(said)
    assert recognized, f"{name}: {message}"


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("gloo/transport")]
)
def test_other_errors_are_not_recognized(error: Exception) -> None:
    assert not tells_of_lost_process(error)
    assert tells_of_lost_process(dist.DistNetworkError("gone"))
