"""Parts of the benchmark that hold Sallyport against another program, each in the same run (docs/run/benchmark.md)."""

import contextlib
import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import time

import running
from measuring import FREERADIUS, Prepared, compiled, freeradius, load, load_command, load_freeradius, mean, show

QUERIES_SCHEMA = "/etc/freeradius/3.0/mods-config/sql/main/sqlite/schema.sql"
WAITING, WAITING_PORTS = 10_000, 50

RATES = [
    ("system", "system"), ("mode", "what"), ("window", "window"), ("accepted/s", "accepted"), ("rejected/s", "rejected"), ("lost/s", "lost"),
    ("p50 us", "p50"), ("p99 us", "p99"), ("server us/login", "serverMicrosecondsPerLogin"), ("load MB", "megabytes"), ("bad", "badReplies"),
]


def times(rows, mine, theirs, field="accepted"):
    """How many times theirs ours is; None without one of them. Each is a test of a row."""
    ours, others = mean(row[field] for row in rows if mine(row)), mean(row[field] for row in rows if theirs(row))
    return ours / others if others else None


def tell(what, ratio):
    print(f"{what}: {ratio:.2f} times FreeRADIUS." if ratio else f"{what}: FreeRADIUS is not installed (scripts/install-packages bench), so there is no ratio.")


# MARK: The least that a login can cost


def least(options):
    """A responder in C that does the packet's cryptography and nothing else."""
    program = compiled(options, "bench-responder.c", libraries=["-lcrypto"])
    prepared, rows = Prepared(options, options.users), []
    windows = sorted({options.window, min(512, options.users)})
    for _ in range(options.rounds):
        for window in windows:
            node = running.Node(options.sallyport, prepared.folder)
            node.start()
            rows.append(load(options, prepared, node, window=window))
            node.stop()
            rows.append(responder(options, program, prepared, window))
    for window in windows:
        here = [row for row in rows if row["window"] == window]
        cost = times(
            here, lambda row: row["system"] == "Sallyport", lambda row: row["system"] == "responder in C", "serverMicrosecondsPerLogin")
        for row in here:
            if row["system"] == "Sallyport":
                row["ofLeast"] = cost
    rows.sort(key=lambda row: (row["window"], row["system"]))
    show("The least that a login can cost the server", [*RATES, ("of the responder", "ofLeast")], rows)
    return rows


def responder(options, program, prepared, window):
    port = running.free_port()
    with open(options.place / "responder.log", "a") as log:
        process = running.start([program, port, prepared.secret], log)
        gateway = running.Gateway(prepared.secret.read_text().strip().encode(), port)
        began = time.monotonic()
        while not gateway.ask(gateway.request("u0", "123456"), 0.05)[0]:
            if process.poll() is not None or time.monotonic() - began > 10:
                running.fail("bench-responder does not answer")
        # Its replies are verified like a server's.
        row = json.loads(running.run(*load_command(options, prepared, port, process, window=window)))
        running.stop(process)
    row.update(system="responder in C", what="code")
    return row


# MARK: Password protocols


def protocols(options):
    """Passwords by CHAP and MS-CHAPv2 where the server keeps what they need; nothing is hashed slowly."""
    rows = []
    for _ in range(options.rounds):
        for mode, kind in (("chap", "chap"), ("mschapv2", "mschap")):
            prepared = Prepared(options, options.users, mode)
            node = running.Node(options.sallyport, prepared.folder)
            node.start()
            rows.append(load(options, prepared, node))
            node.stop()
            if FREERADIUS.exists():
                with freeradius(options, kind, options.users) as theirs:
                    rows.append(load_freeradius(options, theirs, mode))
    rows.sort(key=lambda row: (row["what"], row["system"]))
    show("Password protocols", [*RATES, ("proofs", "proofs")], rows)
    for mode in ("chap", "mschapv2"):
        tell(mode, times(
            rows, lambda row: row["what"] == mode and row["system"] == "Sallyport",
            lambda row: row["what"] == mode and row["system"] == "FreeRADIUS"))
    return rows


# MARK: Accounting


def accounting(options):
    """Records of sessions: begun, reported, ended. Both systems have each on the disk before they acknowledge it."""
    rows = []
    for _ in range(options.rounds):
        prepared = Prepared(options, options.users)
        node = running.Node(options.sallyport, prepared.folder, accounting=True)
        node.start()
        rows.append(load(options, prepared, node, "accounting", node.accounting))
        node.stop()
        if FREERADIUS.exists():
            with freeradius(options, "accounting", options.users, accounting_database) as theirs:
                row = load_freeradius(options, theirs, "accounting")
                row["database"] = check_accounting_database(theirs.folder, row)
                rows.append(row)
    rows.sort(key=lambda row: row["system"])
    show("Accounting", [
        ("system", "system"), ("open sessions", "users"), ("window", "window"), ("records/s", "acknowledged"), ("lost/s", "lost"), ("p50 us", "p50"),
        ("p99 us", "p99"), ("server us/record", "serverMicrosecondsPerPacket"), ("load MB", "megabytes"), ("bad", "badReplies"),
    ], rows)
    for row in rows:
        if "database" in row:
            print(f"FreeRADIUS' database: {row['database']}.")
            break
    tell("accounting", times(
        rows, lambda row: row["system"] == "Sallyport", lambda row: row["system"] == "FreeRADIUS", "acknowledged"))
    return rows


def accounting_database(folder):
    """Debian's tables. rlm_sql_sqlite has no setting for it, but a database that is in WAL mode stays so: one sync a record, not three."""
    with contextlib.closing(sqlite3.connect(folder / "accounting.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        with open(QUERIES_SCHEMA) as schema:
            database.executescript(schema.read())
        database.commit()


def check_accounting_database(folder, row):
    """What it wrote, and how durably: the module leaves `synchronous` at what the library is built with, which is what is seen here."""
    with contextlib.closing(sqlite3.connect(folder / "accounting.sqlite")) as database:
        journal = database.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = ("OFF", "NORMAL", "FULL", "EXTRA")[database.execute("PRAGMA synchronous").fetchone()[0]]
        sessions = database.execute("SELECT count(*) FROM radacct").fetchone()[0]
        ended = database.execute("SELECT count(*) FROM radacct WHERE acctstoptime IS NOT NULL").fetchone()[0]
    if row["acknowledged"] and not sessions:
        running.fail("FreeRADIUS acknowledged records and wrote none")
    return f"journal_mode {journal}, synchronous {synchronous}, {sessions} sessions, {ended} of them ended"


# MARK: RADIUS over TLS


def radsec(options):
    """Codes over TLS, by one connection, by a hundred, and with a thousand open of which each now and then asks."""
    certificates = make_certificates(options.place / "tls")
    prepared, rows = Prepared(options, max(options.users, 2_000)), []
    # Connections, and logins a second or as many as are answered.
    plans = [(1, None), (100, None), (1_000, 500 if options.quick else 2_000)]
    for _ in range(options.rounds):
        for connections, rate in plans:
            plan = {"certificates": certificates, "connections": connections, "rate": rate, "window": max(options.window, min(connections, 128))}
            node = running.Node(options.sallyport, prepared.folder, certificates=certificates)
            node.start()
            rows.append({**load(options, prepared, node, port=node.radsec, **plan), "connections": connections})
            node.stop()
            if FREERADIUS.exists():
                row = freeradius_by_tls(options, prepared.users, certificates, plan)
                rows += [{**row, "connections": connections}] if row else []
    rows.sort(key=lambda row: (row["connections"], row["system"]))
    show("RADIUS over TLS", [("system", "system"), ("connections", "connections"), ("rate", "rate"), *RATES[1:]], rows)
    for connections, rate in plans:
        if not rate:
            tell(f"{connections} connections", times(
                rows, lambda row: row["connections"] == connections and row["system"] == "Sallyport",
                lambda row: row["connections"] == connections and row["system"] == "FreeRADIUS"))
    return rows


def freeradius_by_tls(options, users, certificates, plan):
    with freeradius(options, "radsec", users, lambda folder: shutil.copytree(certificates, folder / "tls")) as theirs:
        done = subprocess.run(
            load_command(options, theirs, theirs.port, theirs.process, "totp", more=["--reply-ma", "any"], **plan), capture_output=True, text=True)
        if done.returncode:
            print(f"FreeRADIUS by {plan['connections']} connections: {done.stderr.strip().splitlines()[0]}")
            return None
        return {**json.loads(done.stdout), "system": "FreeRADIUS", "what": "totp"}


def make_certificates(folder):
    """An authority, and a certificate of each side; for this run alone."""
    folder.mkdir(mode=0o700)
    def openssl(*arguments):
        running.run("openssl", *arguments)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(
        "req", "-x509", *key, "-keyout", folder / "authority.key", "-out", folder / "authority.pem", "-days", "2", "-subj", "/CN=bench authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for name, host in (("server", "localhost"), ("client", "bench.example.org")):
        request, more = folder / f"{name}.csr", folder / f"{name}.ext"
        more.write_text(f"subjectAltName=DNS:{host}\nextendedKeyUsage={name}Auth\n")
        openssl("req", *key, "-keyout", folder / f"{name}.key", "-out", request, "-subj", f"/CN={host}")
        openssl(
            "x509", "-req", "-in", request, "-CA", folder / "authority.pem", "-CAkey", folder / "authority.key", "-CAcreateserial", "-out",
            folder / f"{name}.pem", "-days", "2", "-extfile", more)
    return folder


# MARK: Logins that wait


def waiting(options):
    """Codes at half the peak, without and beside logins that wait for a directory that says nothing."""
    count = 1_000 if options.quick else WAITING
    rows, rate = [], None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        # Its own data: users of a directory.
        folder = options.place / "waiting"
        running.prepare(
            options.sallyport, folder, options.users, "code", "--waiting", count, "--silent", f"127.0.0.1:{silent.getsockname()[1]}")
        prepared = Prepared.of(folder, options.users)
        node = running.Node(options.sallyport, folder)
        for _ in range(options.rounds):
            # Anew: those who were held before are given up in the server's own time.
            node.start()
            rate = rate or round(load(options, prepared, node, seconds=max(1, options.seconds / 2))["accepted"] / 2)
            node.settle()
            alone, before = load(options, prepared, node, rate=rate), node.kilobytes()
            node.settle()
            with held(options, node, prepared, count) as report:
                node.settle()
                kilobytes = (node.kilobytes() - before) / count
                beside = load(options, prepared, node, rate=rate)
                check_held(node, count)
            node.stop()
            if report["answered"]:
                options.failures.append(f"waiting: {report['answered']} logins were answered that nobody decided")
            beside.update(waiting=count, kilobytesEach=kilobytes, p99Ratio=beside["p99"] / alone["p99"])
            alone.update(waiting=0)
            rows += [alone, beside]
    show("Logins that wait", [
        ("waiting", "waiting"), ("mode", "what"), ("rate", "rate"), ("accepted/s", "accepted"), ("lost/s", "lost"), ("p50 us", "p50"), ("p99 us", "p99"),
        ("times p99", "p99Ratio"), ("server us/login", "serverMicrosecondsPerLogin"), ("KB each", "kilobytesEach"), ("bad", "badReplies"),
    ], rows)
    return rows


@contextlib.contextmanager
def held(options, node, prepared, count):
    """Logins that wait at the server from here on; what became of them is in the dictionary afterwards."""
    command = [
        options.sallyport, "bench", "hold", "--server", f"127.0.0.1:{node.port}", "--secret-file", prepared.secret, "--users", count,
        "--user-prefix", "wu", "--source", "127.0.0.3", "--sockets", WAITING_PORTS, "--seconds", "600", "--json",
    ]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    running.started.append(process)
    report = {}
    if process.stderr.readline().strip() != "holding":
        running.fail(f"sallyport bench hold failed:\n{process.stderr.read()}")
    check_held(node, count)
    yield report
    process.send_signal(signal.SIGTERM)
    report.update(json.loads(process.communicate(timeout=60)[0]))
    running.started.remove(process)


def check_held(node, count):
    # The last ones were sent a moment ago.
    for _ in range(100):
        found = sum(value for name, value in node.figures().items() if name.startswith("sallyport_directory_requests_waiting"))
        if found == count:
            return
        time.sleep(0.05)
    running.fail(f"{found:.0f} of {count} logins wait")


PARTS = (least, protocols, accounting, radsec, waiting)
