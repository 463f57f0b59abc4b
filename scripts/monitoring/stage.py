"""A test environment: a private broker, a mock of the endpoint, a worker, and optionally a Prometheus.

Everything is on loopback and keeps its files in one temporary folder. At the end, all processes that were started here
are stopped, whatever happens.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from .prometheus import Prometheus

ROOT = Path(__file__).resolve().parents[2]

START_LIMIT = 300  # seconds until what is waited for holds: for what hangs, not for what is slow
STOP_LIMIT = 40  # seconds until it is gone after SIGTERM; the worker's own grace is 20

# The signals that stop a script: Ctrl-C, a supervisor, a closed terminal.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SCRAPE_INTERVAL = 2  # seconds: a person waits for it, and on a busy machine a scrape takes one

PROMETHEUS_CONFIG = """\
global: {{scrape_interval: {interval}s, scrape_timeout: {interval}s, evaluation_interval: {interval}s}}
rule_files: ["{root}/config/prometheus/rules/*.yml"]
scrape_configs:
  - job_name: revoker
    static_configs: [{{targets: ["{worker}"]}}]
"""

# The client ids of the sample jobs, and a client for those that name none.
CLIENTS = ("demo", "yhaPE3jtHXHMKUZBBFr9QS1x1FaXxr")


# Without this, a proxy of the environment would be used for loopback.
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StageError(Exception):
    """A process failed; the text says which, with its last output."""


def await_that(what, condition, limit=START_LIMIT):
    """Waits until a condition holds, and returns what it returned."""
    deadline = time.monotonic() + limit
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise StageError(f"{what}: not within {limit} s")
        time.sleep(0.1)
    return result


ANY_PORT = "127.0.0.1:0"  # one that was free a moment ago may be somebody else's by now
LISTENS = "0A"  # a socket's state in /proc/net/tcp


def listening(pid):
    """The address on loopback that a process listens on, by what the system knows, or None."""
    try:
        files = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:  # a file was closed meanwhile, or the process has ended
        return None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTENS and f"socket:[{fields[9]}]" in files:
            return f"127.0.0.1:{int(fields[1].split(':')[1], 16)}"
    return None


class Stage:
    """The environment, from `with` to its end."""

    def __init__(self, revoker, endpoint_options=(), *, settings=None, watched=True):
        """`settings` are the worker's, by the names of environment variables; a Prometheus is there if `watched`."""
        self.revoker = Path(revoker).resolve()
        self.endpoint_options = endpoint_options
        self.settings = settings or {}
        self.watched = watched
        if not os.access(self.revoker, os.X_OK):
            raise StageError(f"{revoker} is no program: build it, or name another")
        for program in ("rabbitmqctl", "amqp-publish", *(["prometheus"] if watched else [])):
            if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
                raise StageError(f"{program} is not installed: run scripts/install")
        self._processes = {}
        self._jobs = 0

    def __enter__(self):
        # By default these signals end Python at once and leave the started processes.
        for ending in ENDINGS:
            signal.signal(ending, lambda number, _: sys.exit(128 + number))
        self.folder = Path(tempfile.mkdtemp(prefix="revoker-monitoring."))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # A second signal must not interrupt this.
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        for name in reversed(list(self._processes)):
            self.stop(name)
        if (self.folder / "broker/base_port").exists():
            self.stop_broker()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self):
        url = self._start_broker()
        clients = self.folder / "clients"
        clients.mkdir()
        for client in CLIENTS:
            (clients / client).write_text("secret-of-the-stage\n")
        self.environment = {
            "REVOKER_BROKER__URL": url,
            "REVOKER_CREDENTIALS__CLIENT_ID": CLIENTS[0],
            "REVOKER_CREDENTIALS__DIRECTORY": str(clients),
            "REVOKER_ENDPOINT__TIMEOUT": "2s",
            "REVOKER_ENDPOINT__CONNECT_TIMEOUT": "1s",
            "REVOKER_ADMIN__LISTEN": ANY_PORT,
            # Else /proc/PID/fd, by which its port is found, is root's.
            "REVOKER_PROCESS__CORE_DUMPS": "true",
            **self.settings,
        }
        self.start_endpoint()
        self._spawn("worker", [self.revoker, "run"])
        self.admin = self._address("worker")
        self._await_answer("worker", f"http://{self.admin}/readyz")
        if self.watched:
            self._start_prometheus()

    def _start_broker(self):
        """Starts the broker's node, and returns its URL."""
        broker = subprocess.Popen(
            [ROOT / "scripts/broker", "start", self.folder / "broker"],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            url = broker.communicate()[0].strip()
        except BaseException:
            # A start that is cut short leaves a node that nobody knows of.
            broker.wait()
            raise
        if broker.returncode:
            raise StageError("the broker does not start")
        return url

    def stop_broker(self):
        """Stops the broker's node in order."""
        subprocess.run([ROOT / "scripts/broker", "stop", self.folder / "broker"], check=False)

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
        config = self.folder / "prometheus.yml"
        config.write_text(PROMETHEUS_CONFIG.format(interval=SCRAPE_INTERVAL, root=ROOT, worker=self.admin))
        self._spawn(
            "prometheus",
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={self.folder / 'tsdb'}",
                f"--web.listen-address={ANY_PORT}",
                "--log.level=warn",
            ],
        )
        self.prometheus = Prometheus(f"http://{self._address('prometheus')}")
        await_that("Prometheus", lambda: self._alive("prometheus") and self.prometheus.ready())

    def enqueue(self, lines, lane):
        """Publishes these lines, each meant as a job."""
        self._run(["enqueue", "--lane", lane, "-"], "".join(f"{line}\n" for line in lines))

    def enqueue_sample(self):
        """Publishes the sample jobs, one of every kind. Those that `enqueue` refuses are published without checks."""
        sample = self.folder / "sample.ndjson"
        shutil.copy(ROOT / "examples/jobs/sample.ndjson", sample)
        self._run(["enqueue", "--lane", "interactive", str(sample)])
        lines = sample.read_text().splitlines(keepends=True)
        refused = Path(f"{sample}.refused.ndjson").read_text().splitlines()
        url = self.environment["REVOKER_BROKER__URL"]
        publish = ["amqp-publish", "-u", url, "-r", "revocations", "-C", "application/json", "-p", "-l"]
        text = "".join(lines[json.loads(line)["line"] - 1] for line in refused)
        subprocess.run(publish, input=text, text=True, check=True)

    def jobs(self, count, unknown_each, clients=(None,)):
        """Yields `count` new jobs, of these clients in turn; one in `unknown_each` is unknown to the endpoint."""
        self._jobs += count
        for number in range(self._jobs - count, self._jobs):
            kind = "stage-" if number % unknown_each else "unknown-"
            job = {"refresh_token": f"{kind}{number}", "client_id": clients[number % len(clients)]}
            yield json.dumps({key: value for key, value in job.items() if value})

    def metrics(self):
        """The worker's metrics now, as text."""
        with LOOPBACK.open(f"http://{self.admin}/metrics", timeout=START_LIMIT) as answer:
            return answer.read().decode()

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

    def _run(self, arguments, text=None):
        command = [self.revoker, *arguments]
        done = subprocess.run(
            command, input=text, env=self._env(), cwd=self.folder, capture_output=True, text=True, check=False
        )
        # 3: some lines were refused as jobs, as the sample's are meant to be.
        if done.returncode not in (0, 3):
            raise StageError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}")

    def _env(self):
        # A developer's own settings would change the result.
        kept = {key: value for key, value in os.environ.items() if not key.startswith("REVOKER_")}
        return kept | self.environment

    def _address(self, name):
        """Where one of the processes listens, once it does."""
        process = self._processes[name]
        return await_that(f"the address of {name}", lambda: self._alive(name) and listening(process.pid))

    def _alive(self, name):
        process = self._processes[name]
        if process.poll() is not None:
            log = (self.folder / f"{name}.log").read_text(errors="replace")
            raise StageError(f"{name} ended with {process.returncode}: {log[-800:]}")
        return True

    def _await_answer(self, name, url):
        def answers():
            self._alive(name)
            try:
                return LOOPBACK.open(url, timeout=5).status == 200
            except (urllib.error.URLError, OSError):
                return False

        await_that(f"{name} at {url}", answers)
