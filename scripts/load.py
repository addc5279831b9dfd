"""Measure `minisearch serve` under load: the latency of searches by many clients at once.

    python scripts/load.py [--index FOLDER] [--clients 200] [--seconds 60] [--share 0.5]

Three measurements of one server process, over connections that stay open.  Idle: one client, one request
after the other.  Saturated: each client sends its next request when it has its answer, so that the server
always has as many requests as there are clients; the median is then about clients / rate, whatever the
server.  Steady: requests arrive at random (Poisson) at a share of the rate that the server reached when
saturated; a latency counts from the arrival, also where all connections are busy.

The queries are those of data/, in turn; the server remembers no answers.  The clients run on the same
machine.  An answer other than 200 is an error.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measuring import machine, option_parser, table

DATA = Path(__file__).parents[1] / "data"
MINISEARCH = [sys.executable, "-m", "minisearch"]
HEAD = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
N_IDLE = 200


class Client:
    """One connection to the server; notes the latency of each answer, and errors."""

    queries: Sequence[str] = ()
    n_sent = 0

    def __init__(self, port: int, times_s: list[float], errors: list[str]) -> None:
        self._port = port
        self._times_s = times_s
        self._errors = errors
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def search(self, *, since_s: float | None = None) -> None:
        """One search; the latency counts from ``since_s``, by default from now."""
        since_s = time.perf_counter() if since_s is None else since_s
        query = self.queries[Client.n_sent % len(self.queries)]
        Client.n_sent += 1
        body = json.dumps({"query": query}).encode()
        head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n"
        try:
            if self._streams is None or self._streams[0].at_eof():  # the server may close an idle connection
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.findall(rb"content-length: (\d+)", answer)[0]))
            if not answer.startswith(b"HTTP/1.1 200 "):
                self._errors.append(answer.split(b"\r\n")[0].decode())
        except (OSError, asyncio.IncompleteReadError) as error:
            self._errors.append(repr(error))
            self._streams = None
        self._times_s.append(time.perf_counter() - since_s)

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            await self._streams[1].wait_closed()


async def closed_loop(port: int, n_clients: int, seconds: float) -> tuple[list[float], list[str], float]:
    """Latencies, errors, and requests a second with so many clients, each of which sends without pause."""
    times_s: list[float] = []
    errors: list[str] = []
    started_s = time.perf_counter()

    async def keep_asking() -> None:
        client = Client(port, times_s, errors)
        while time.perf_counter() - started_s < seconds:
            await client.search()
        await client.close()

    await asyncio.gather(*(keep_asking() for _ in range(n_clients)))
    return times_s, errors, len(times_s) / (time.perf_counter() - started_s)


async def open_loop(
    port: int, n_clients: int, seconds: float, rate: float
) -> tuple[list[float], list[str], float]:
    """The same with random arrivals at a rate."""
    times_s: list[float] = []
    errors: list[str] = []
    clients = [Client(port, times_s, errors) for _ in range(n_clients)]
    free: asyncio.Queue[Client] = asyncio.Queue()
    for client in clients:
        free.put_nowait(client)
    rng = np.random.default_rng(0)

    async def ask(since_s: float) -> None:
        client = await free.get()
        await client.search(since_s=since_s)
        free.put_nowait(client)

    tasks, started_s = [], time.perf_counter()
    due_s = started_s
    while due_s < started_s + seconds:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(due_s)))
        due_s += rng.exponential(1 / rate)
    await asyncio.gather(*tasks)
    taken_s = time.perf_counter() - started_s
    for client in clients:
        await client.close()
    return times_s, errors, len(times_s) / taken_s


async def measure(port: int, n_clients: int, seconds: float, share: float) -> list[list[str]]:
    """The rows of the table."""
    warm = Client(port, [], [])
    for _ in range(20):
        await warm.search()
    idle_s: list[float] = []
    idle_errors: list[str] = []
    idle = Client(port, idle_s, idle_errors)
    for _ in range(N_IDLE):
        await idle.search()
    await warm.close()
    await idle.close()
    base_s = float(np.median(idle_s))
    saturated = await closed_loop(port, n_clients, seconds)
    steady = await open_loop(port, n_clients, seconds, share * saturated[2])
    rows = []
    for name, (times_s, errors, rate) in {
        "idle, 1 client": (idle_s, idle_errors, 1 / float(np.mean(idle_s))),
        f"saturated, {n_clients} clients": saturated,
        f"steady at {share:.0%} of that rate, {n_clients} connections": steady,
    }.items():
        p50, p99 = np.percentile(times_s, [50, 99])
        figures = [f"{rate:.1f}", f"{p50 * 1_000:.0f}", f"{p99 * 1_000:.0f}", f"{p99 / base_s:.1f}"]
        rows.append([name, f"{len(times_s):,}", *figures, f"{len(errors)}"])
        for error in sorted(set(errors))[:3]:
            print(f"an error: {error}", file=sys.stderr)
    return rows


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = option_parser(__doc__)
    parser.add_argument("--index", type=Path, help="an index to serve; otherwise one is made of data/docs")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--share", type=float, default=0.5)
    options = parser.parse_args(arguments)
    lines = (DATA / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    Client.queries = [json.loads(line)["text"] for line in lines]
    print(f"Machine: {machine()}")
    with tempfile.TemporaryDirectory() as scratch:
        index = options.index or Path(scratch, "index")
        if not options.index:
            subprocess.run(
                [*MINISEARCH, "index", DATA / "docs", "--index", index, "--offline"],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        command = [*MINISEARCH, "serve", "--port", "0", "--offline", "--index", str(index)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            try:
                assert server.stderr, "it is a pipe"
                found = re.match(r"Serving on http://127\.0\.0\.1:(\d+)/", server.stderr.readline())
                if found is None:
                    sys.exit("the server has not started")
                rows = asyncio.run(measure(int(found[1]), options.clients, options.seconds, options.share))
            finally:
                server.terminate()
    header = ["", "requests", "a second", "p50, ms", "p99, ms", "p99 ÷ idle p50", "errors"]
    print(table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
