"""What the parts of the benchmark share: prepared data, the load, FreeRADIUS beside it, tables."""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import sys
import tempfile
import time

import running

FREERADIUS = pathlib.Path("/usr/sbin/freeradius")


class Prepared:
    """A data directory and the counter with which its users go on."""

    def __init__(self, options, users, mode="code"):
        home = options.home
        self.users, self.mode = users, mode
        self.folder = home / f"sallyport-{mode.replace('+', '-')}-{users}"
        self.note = home / f"{self.folder.name}.json"
        if self.note.exists():
            self.counter = json.loads(self.note.read_text())["counter"]
            self.seconds = None
            return
        began = time.monotonic()
        shutil.rmtree(self.folder, ignore_errors=True)
        running.prepare(options.sallyport, self.folder, users, mode)
        self.seconds = time.monotonic() - began
        self.went_on(0)

    @classmethod
    def of(cls, folder, users, mode="code"):
        """One that was prepared otherwise."""
        prepared = cls.__new__(cls)
        prepared.users, prepared.mode, prepared.folder, prepared.note, prepared.seconds = users, mode, folder, folder.parent / f"{folder.name}.json", None
        prepared.went_on(0)
        return prepared

    def went_on(self, counter):
        self.counter = counter
        self.note.write_text(json.dumps({"counter": counter}))

    @property
    def secret(self):
        return self.folder / "bench.secret"


def load_command(
    options, prepared, port, process, mode=None, window=None, rate=None, seconds=None, counter=None, certificates=None, connections=1, more=()
):
    """With `certificates`, a folder, by TLS."""
    command = [
        options.sallyport, "bench", "radius", "--server", f"127.0.0.1:{port}", "--users", prepared.users, "--mode", mode or prepared.mode,
        "--seconds", seconds or options.seconds, "--warmup", options.warmup, "--first-counter",
        prepared.counter if counter is None else counter, "--server-pid", process.pid, "--json", *more,
    ]
    if certificates:
        command += [
            "--tls-certificate", certificates / "client.pem", "--tls-key", certificates / "client.key", "--tls-authority",
            certificates / "authority.pem", "--connections", connections,
        ]
    else:
        # A socket has 128 open requests at most.
        command += ["--secret-file", prepared.secret, "--sockets", 16 if rate or (window or 0) > 512 else 4]
    command += ["--rate", rate] if rate else ["--window", min(prepared.users, window or options.window)]
    return [str(part) for part in command]


def load(options, prepared, node, mode=None, port=None, **more):
    mode = mode or prepared.mode
    row = json.loads(running.run(*load_command(options, prepared, port or node.port, node.process, mode, **more)))
    if mode in ("code", "password+code", "duplicate", "ttls-code"):
        prepared.went_on(row["nextCounter"])
    row.update(system="Sallyport", what=mode)
    return row


def first_answer(node, secret, users):
    """Seconds from starting the program to its first answer, asked every few milliseconds. An empty code is asked back some 22 ms later, like a reject."""
    gateway = running.Gateway(secret.read_text().strip().encode(), node.port)
    began = time.monotonic()
    node.launch()
    while time.monotonic() - began < 30:
        if node.process.poll() is not None:
            break
        if gateway.ask(gateway.request("nobody-has-this-name", ""), 0.004, any_reply=True)[0]:
            return time.monotonic() - began
    running.fail(f"sallyport serve did not answer:\n{node.log_path.read_text()[-2000:]}")


def megabytes_in(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def compiled(options, source, *flags, libraries=()):
    """One of the C files beside this one, built into the temporary folder."""
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if not compiler:
        running.fail(f"{source} needs a C compiler", 69)
    program = options.place / source.removesuffix(".c")
    running.run(compiler, "-O2", *flags, "-o", program, running.ROOT / "scripts" / source, *libraries)
    return program


# MARK: FreeRADIUS


@contextlib.contextmanager
def freeradius(options, kind, users, prepare=lambda folder: None):
    """FreeRADIUS on a configuration for this kind (scripts/bench-freeradius); `prepare` fills its folder first."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="freeradius-", dir=options.place))
    secret, file, folder = place / "bench.secret", place / "users", place / "node"
    port = running.free_port(socket.SOCK_STREAM if kind == "radsec" else socket.SOCK_DGRAM)
    folder.mkdir()
    secret.write_text(os.urandom(16).hex())
    secret.chmod(0o600)
    if kind in ("tls", "tls-resumed"):
        # Whom the authority vouches for is let in.
        file.write_text("")
    elif kind == "accounting":
        file = folder / "accounting.sqlite"
    else:
        mode = {"chap": "chap", "mschap": "mschapv2", "ttls": "ttls-password", "peap": "peap-mschapv2"}.get(kind, "totp")
        file.write_text(running.run(options.sallyport, "bench", "freeradius-users", "--users", users, "--mode", mode))
    prepare(folder)
    with open(place / "log", "w") as log:
        began = time.monotonic()
        process = running.start([running.ROOT / "scripts/bench-freeradius", folder, port, secret, kind, file], log)
        ready = folder / "radius.log"
        while time.monotonic() - began < 60 and process.poll() is None:
            if ready.exists() and "Ready to process requests" in ready.read_text():
                break
            time.sleep(0.01)
        else:
            told = ready.read_text() if ready.exists() else ""
            running.fail(f"FreeRADIUS did not start:\n{(place / 'log').read_text()[-2000:]}{told[-2000:]}")
        theirs = argparse.Namespace(
            users=users, secret=secret, counter=0, mode="totp", port=port, process=process, folder=folder, seconds=time.monotonic() - began,
            idle=running.kilobytes(process))
        try:
            yield theirs
        finally:
            running.stop(process)


def load_freeradius(options, theirs, mode="totp", more=(), **plan):
    # 3.2.1 answers PAP without Message-Authenticator; a later one that signs is checked all the same.
    more = ["--reply-ma", "any", *more]
    row = json.loads(running.run(*load_command(options, theirs, theirs.port, theirs.process, mode, more=more, **plan)))
    row.update(
        system="FreeRADIUS", what=mode, idleKilobytes=theirs.idle, startSeconds=theirs.seconds, storageMegabytes=megabytes_in(theirs.folder))
    return row


def totp(options, users):
    with freeradius(options, "totp", users) as theirs:
        return load_freeradius(options, theirs)


# MARK: Telling


def mean(values):
    values = list(values)
    return statistics.fmean(values) if values else 0


def cell(row, name):
    if name == "megabytes":
        value = (row.get("serverKilobytes") or 0) / 1024
    elif name == "idleMegabytes":
        value = row["idleKilobytes"] / 1024 if "idleKilobytes" in row else None
    else:
        value = row.get(name)
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def show(title, columns, rows):
    lines = [[head for head, _ in columns]] + [[cell(row, name) for _, name in columns] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    words = [isinstance(rows[0].get(name), str) for _, name in columns]
    print(f"\n{title}")
    for line in lines:
        print("  ".join(text.ljust(width) if is_word else text.rjust(width) for text, width, is_word in zip(line, widths, words)).rstrip())
    sys.stdout.flush()
