"""What the benchmark and the drills share: starting nodes and ending them, ports, RADIUS packets by hand."""

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / ".build/release/sallyport"
started = []


def fail(text, code=1):
    print(f"{pathlib.Path(sys.argv[0]).name}: {text}", file=sys.stderr)
    sys.exit(code)


def require(program):
    if not program.exists():
        fail(f"{program} is not there; build it with scripts/build-release", 69)


def free_port(kind=socket.SOCK_DGRAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, log, **more):
    process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, **more)
    started.append(process)
    return process


def stop(process, with_signal=signal.SIGTERM):
    if process.poll() is None:
        process.send_signal(with_signal)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process in started:
        started.remove(process)


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        fail(f"{' '.join(str(part) for part in command[:4])} … failed:\n{done.stderr or done.stdout}")
    return done.stdout


def end_once(*_):
    """For SIGTERM: timeout(1) sends it twice, and the second must not end the tidying up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


@contextlib.contextmanager
def place(name):
    """A folder that goes at the end, with everything that was started. In memory where there is room: a drill is no test of a disk's speed."""
    shared = pathlib.Path("/dev/shm")
    home = shared if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 4 << 30 else None
    home = os.environ.get("SALLYPORT_DRILL_HOME", home)
    signal.signal(signal.SIGTERM, end_once)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"sallyport-{name}-", dir=home))
    try:
        yield folder
    finally:
        # Whoever is left here has nothing to settle any more: the load would wait for a server that is gone.
        for process in list(started):
            stop(process, signal.SIGKILL)
        for mounted in (path for path in folder.iterdir() if path.is_mount()):
            subprocess.run(["umount", mounted], check=False)
        shutil.rmtree(folder, ignore_errors=True)


class Node:
    """A server on a data directory, with ports that stay the same from start to start."""

    def __init__(self, program, folder, environment=None, certificates=None, accounting=False, more=()):
        self.program, self.folder, self.environment, self.more = program, folder, environment, more
        self.port, self.health, self.metrics = free_port(), free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
        self.accounting = free_port() if accounting else None
        # A folder with what a server needs for RADIUS over TLS.
        self.certificates, self.radsec = certificates, free_port(socket.SOCK_STREAM) if certificates else None
        self.log_path = folder.parent / f"{folder.name}.log"
        self.process = None

    def launch(self):
        self.log = open(self.log_path, "a")
        more = [
            "--radsec-listen", f"127.0.0.1:{self.radsec}", "--radsec-certificate", self.certificates / "server.pem", "--radsec-key",
            self.certificates / "server.key", "--radsec-client-ca", self.certificates / "authority.pem",
        ] if self.certificates else []
        self.process = start(
            [
                self.program, "serve", "--data-dir", self.folder, "--radius-listen", f"127.0.0.1:{self.port}",
                "--radius-accounting", f"127.0.0.1:{self.accounting}" if self.accounting else "",
                "--web-health", f"127.0.0.1:{self.health}", "--web-metrics", f"127.0.0.1:{self.metrics}", "--log-level", "warning", *more, *self.more,
            ],
            self.log, env={**os.environ, "SWIFT_BACKTRACE": "enable=no", **(self.environment or {})},
        )

    def is_ready(self):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.health}/readyz", timeout=1).read()
            return True
        except OSError:
            return False

    def start(self, patience=30):
        """Seconds until it says that it is ready."""
        began = time.monotonic()
        self.launch()
        while time.monotonic() - began < patience and self.process.poll() is None:
            if self.is_ready():
                return time.monotonic() - began
            time.sleep(0.005)
        self.stop()
        fail(f"sallyport serve did not get ready:\n{self.log_path.read_text()[-2000:]}")

    def settle(self, patience=60):
        """Waits until what an earlier load left lying, such as the index of the trail, is done: it would be counted as this one's."""
        ticks, still = processor_ticks(self.process), 0
        end = time.monotonic() + patience
        while still < 4 and time.monotonic() < end:
            # The writer calls itself idle after 0.2 s.
            time.sleep(0.3)
            before, ticks = ticks, processor_ticks(self.process)
            still = still + 1 if ticks - before <= 1 else 0

    def stop(self, with_signal=signal.SIGTERM):
        stop(self.process, with_signal)
        self.log.close()

    def kilobytes(self):
        return kilobytes(self.process)

    def figures(self):
        """What `/metrics` says, labels included in the name."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))}


def processor_ticks(process):
    """User and system time so far, in clock ticks of 10 ms."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def kilobytes(process):
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def overflowed(port):
    """Datagrams that a full receive buffer of this port's sockets has cost so far (proc_net_udp's last column)."""
    lines = pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[-1]) for line in lines if int(line.split()[1].rsplit(":", 1)[1], 16) == port)


def prepare(program, folder, users, mode, *more):
    run(program, "bench", "prepare", "--data-dir", folder, "--users", users, "--mode", mode, *more)
    return folder / "bench.secret"


class Gateway:
    """One request at a time, by hand: RFC 2865 with the Message-Authenticator of RFC 3579."""

    def __init__(self, secret, port, source="127.0.0.1"):
        self.secret = secret
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.number = 0

    def request(self, name, password):
        self.number = (self.number + 1) % 256
        authenticator = os.urandom(16)
        padded = password.encode().ljust(16 * max(1, -(-len(password) // 16)), b"\0")
        hidden, previous = b"", authenticator
        for at in range(0, len(padded), 16):
            stream = hashlib.md5(self.secret + previous).digest()
            previous = bytes(left ^ right for left, right in zip(padded[at:at + 16], stream))
            hidden += previous
        body = b"\x50\x12" + bytes(16)
        for kind, value in ((1, name.encode()), (2, hidden), (32, b"sallyport-bench")):
            body += bytes((kind, len(value) + 2)) + value
        packet = struct.pack("!BBH", 1, self.number, 20 + len(body)) + authenticator + body
        return packet[:22] + hmac.digest(self.secret, packet, "md5") + packet[38:]

    def ask(self, packet, patience=5.0, any_reply=False):
        """The reply and the seconds it took; None without one. With `any_reply` one to an earlier packet will do."""
        self.socket.settimeout(patience)
        try:
            began = time.perf_counter_ns()
            self.socket.send(packet)
            while True:
                reply = self.socket.recv(4096)
                taken = time.perf_counter_ns() - began
                if any_reply or reply[1] == packet[1]:
                    return reply, taken / 1e9
        except OSError:
            return None, None


class Persistent:
    """`sallyport bench persist` in the background: load that outlives the server."""

    def __init__(self, program, node, secret, users, journal, log, rate, patience, ahead, more=()):
        self.output = journal.parent / f"{journal.name}.json"
        self.log = log
        with open(self.output, "w") as output, open(log, "w") as errors:
            self.process = subprocess.Popen(
                [
                    str(program), "bench", "persist", "--server", f"127.0.0.1:{node.port}", "--secret-file", str(secret), "--users", str(users),
                    "--rate", str(rate), "--seconds", "86400", "--patience", str(patience), "--journal", str(journal), "--replay",
                    "--ahead", str(min(500_000, ahead)), "--json", *more,
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        started.append(self.process)
        # Codes are computed first.
        while self.process.poll() is None and not (journal.exists() and journal.stat().st_size):
            time.sleep(0.01)

    def end(self, patience=200):
        """Lets it settle what is open; its report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            fail("the load did not end: the server answers nobody")
        started.remove(self.process)
        text = self.output.read_text()
        if not text:
            fail(f"the load reported nothing:\n{self.log.read_text()[-2000:]}")
        return json.loads(text)


def verify(program, folder, *more):
    """Whether the trail is intact, and how many events it has."""
    done = subprocess.run(
        [str(program), "audit", "verify", "--json", "--data-dir", str(folder), *more], capture_output=True, text=True)
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        fail(f"audit verify answered nothing (exit {done.returncode}):\n{done.stderr[-2000:]}")
    return answer


def journal_counts(path):
    """Per user: codes that were accepted or used up unheard, and the lines that no server may cause."""
    used, sent, wrong = {}, 0, []
    with open(path) as lines:
        for line in lines:
            what, user, counter = line.split()
            if what == "s":
                sent += 1
            elif what in "au":
                used.setdefault(int(user), []).append(int(counter))
            elif what in "dw":
                wrong.append(line.strip())
    return used, sent, wrong


def check_trail(program, folder, journal):
    """Holds the trail against the journal: what is missing there, and what is there without having happened."""
    used, sent, wrong = journal_counts(journal)
    accepted = {}
    export = subprocess.Popen(
        [str(program), "audit", "export", "--kind", "login-accepted", "--data-dir", str(folder)], stdout=subprocess.PIPE, text=True)
    for line in export.stdout:
        event = json.loads(line)
        # The last line signs the others.
        if event.get("kind") != "login-accepted":
            continue
        user = event["user"]
        accepted[user] = accepted.get(user, 0) + 1
    if export.wait():
        fail("audit export failed")
    findings = [f"the journal says: {line}" for line in wrong]
    for user, counters in used.items():
        if len(set(counters)) != len(counters):
            findings.append(f"u{user}: a code was accepted twice")
        in_trail = accepted.pop(f"u{user}", 0)
        if in_trail < len(counters):
            findings.append(f"u{user}: {len(counters)} logins were accepted, the trail has {in_trail}")
        if in_trail > len(counters):
            findings.append(f"u{user}: the trail has {in_trail} accepts of {len(counters)} codes")
    findings += [f"{user}: the trail has accepts of codes that were never answered for" for user in accepted]
    return findings, sum(len(counters) for counters in used.values()), sent
