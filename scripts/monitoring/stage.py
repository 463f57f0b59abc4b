"""The scene: a private broker, a mock of the endpoint, a worker, and a Prometheus that scrapes it every second.

All of it is on loopback, keeps its files in one temporary folder, and is ended by the process ids that were started
here, whatever happens.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from .prometheus import Prometheus

ROOT = Path(__file__).resolve().parents[2]

START_LIMIT = 60  # seconds until a process answers
STOP_LIMIT = 40  # seconds until it is gone after SIGTERM; the worker's own grace is 20

SCRAPE_INTERVAL = 1  # second: a person waits for it

PROMETHEUS_CONFIG = """\
global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s, evaluation_interval: {interval}s}}
rule_files: ["{root}/config/prometheus/rules/*.yml"]
scrape_configs:
  - job_name: revoker
    static_configs: [{{targets: ["{worker}"]}}]
"""

# The client ids of the sample jobs, and a client for those that name none.
CLIENTS = ("demo", "yhaPE3jtHXHMKUZBBFr9QS1x1FaXxr")


class StageError(Exception):
    """A part of the scene failed; the text says which, and its last words."""


def await_that(what, condition, limit=START_LIMIT):
    """Waits until a condition holds, and returns what it returned."""
    deadline = time.monotonic() + limit
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise StageError(f"{what}: not within {limit} s")
        time.sleep(0.1)
    return result


def free_port():
    """A port that nobody listens on, below those that outgoing connections are given."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StageError("no port is free")


class Stage:
    """The scene, from `with` to its end."""

    def __init__(self, revoker, endpoint_options=()):
        self.revoker = Path(revoker).resolve()
        self.endpoint_options = endpoint_options
        if not os.access(self.revoker, os.X_OK):
            raise StageError(f"{revoker} is no program: build it, or name another")
        for program in ("prometheus", "rabbitmqctl"):
            if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
                raise StageError(f"{program} is not installed: run scripts/install")
        self._processes = {}
        self._jobs = 0

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="revoker-monitoring."))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in reversed(list(self._processes)):
            self.stop(name)
        if (self.folder / "broker/base_port").exists():
            subprocess.run([ROOT / "scripts/broker", "stop", self.folder / "broker"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self):
        broker = subprocess.run(
            [ROOT / "scripts/broker", "start", self.folder / "broker"], stdout=subprocess.PIPE, text=True, check=False
        )
        if broker.returncode:
            raise StageError("the broker does not start")
        clients = self.folder / "clients"
        clients.mkdir()
        for client in CLIENTS:
            (clients / client).write_text("secret-of-the-stage\n")
        self.admin = f"127.0.0.1:{free_port()}"
        self.environment = {
            "REVOKER_BROKER__URL": broker.stdout.strip(),
            "REVOKER_CREDENTIALS__CLIENT_ID": CLIENTS[0],
            "REVOKER_CREDENTIALS__DIRECTORY": str(clients),
            "REVOKER_ENDPOINT__TIMEOUT": "2s",
            "REVOKER_ENDPOINT__CONNECT_TIMEOUT": "1s",
            "REVOKER_ADMIN__LISTEN": self.admin,
        }
        self.start_endpoint()
        self._spawn("worker", [self.revoker, "run"])
        self._await_answer("worker", f"http://{self.admin}/readyz")
        self._start_prometheus()

    def start_endpoint(self, listen="127.0.0.1:0"):
        """Starts the mock, which answers 01 to every token that begins with `unknown-`."""
        port_file = self.folder / "endpoint.port"
        port_file.unlink(missing_ok=True)
        place = [f"--listen={listen}", f"--port-file={port_file}", "--reject-prefix=unknown-", "--seed=1"]
        self._spawn("endpoint", [self.revoker, "mock-endpoint", *place, *self.endpoint_options])

        def address():
            return self._alive("endpoint") and port_file.exists() and port_file.read_text().strip()

        self.endpoint = await_that("the mock endpoint", address)
        self.environment["REVOKER_ENDPOINT__URL"] = f"http://{self.endpoint}/revoke"

    def _start_prometheus(self):
        address = f"127.0.0.1:{free_port()}"
        config = self.folder / "prometheus.yml"
        config.write_text(PROMETHEUS_CONFIG.format(interval=SCRAPE_INTERVAL, root=ROOT, worker=self.admin))
        self._spawn(
            "prometheus",
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self.folder / 'tsdb'}",
                f"--web.listen-address={address}",
                "--log.level=warn",
            ],
        )
        self.prometheus = Prometheus(f"http://{address}")
        await_that("Prometheus", lambda: self._alive("prometheus") and self.prometheus.ready())

    def enqueue(self, lines, lane):
        """Publishes these lines, each meant as a job."""
        self._run(["enqueue", "--lane", lane, "-"], "".join(f"{line}\n" for line in lines))

    def enqueue_sample(self):
        """Publishes the sample jobs: of every kind one, malformed ones too."""
        self._run(["enqueue", "--lane", "interactive", "-"], (ROOT / "examples/jobs/sample.ndjson").read_text())

    def jobs(self, count, unknown_each):
        """So many new jobs, each so-manieth of them unknown to the endpoint."""
        self._jobs += count
        for number in range(self._jobs - count, self._jobs):
            kind = "stage-" if number % unknown_each else "unknown-"
            yield f'{{"refresh_token":"{kind}{number}"}}'

    def stop(self, name):
        """Ends one of the processes in order, and waits for it."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check_alive(self):
        """Fails if any process ended by itself."""
        for name in self._processes:
            self._alive(name)

    def _spawn(self, name, command):
        with open(self.folder / f"{name}.log", "ab") as log:
            # A session of its own: Ctrl-C is for this script, which then ends them in order.
            self._processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env(), start_new_session=True
            )

    def _run(self, arguments, text):
        done = subprocess.run(
            [self.revoker, *arguments], input=text, env=self._env(), capture_output=True, text=True, check=False
        )
        # 3: some lines were refused as jobs, as the sample's are meant to be.
        if done.returncode not in (0, 3):
            raise StageError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}")

    def _env(self):
        # A developer's own settings would change the scene.
        kept = {key: value for key, value in os.environ.items() if not key.startswith("REVOKER_")}
        return kept | self.environment

    def _alive(self, name):
        process = self._processes[name]
        if process.poll() is not None:
            log = (self.folder / f"{name}.log").read_text(errors="replace")
            raise StageError(f"{name} ended with {process.returncode}: {log[-800:]}")
        return True

    def _await_answer(self, name, url):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def answers():
            self._alive(name)
            try:
                return opener.open(url, timeout=5).status == 200
            except (urllib.error.URLError, OSError):
                return False

        await_that(f"{name} at {url}", answers)
