"""Parts of the benchmark with EAP: what a full handshake costs, what it costs others, and what half of one costs (docs/run/benchmark.md)."""

import json
import shutil
import subprocess
import time

import running
from comparing import RATES, make_certificates, times
from measuring import FREERADIUS, Prepared, compiled, freeradius, load, load_command, load_freeradius, show

VERSIONS = ("1.2", "1.3")
# Mode of Sallyport's data and of its load, kind of FreeRADIUS, mode of its load, records that the client sends inside (None: no limit is made).
METHODS = (
    ("ttls-code", "ttls-code", "ttls", "ttls-password", 1), ("peap-mschapv2", "peap-mschapv2", "peap", "peap-mschapv2", 4),
    ("eap-tls", "eap-tls", "tls", "eap-tls", 0), ("eap-tls", "eap-tls-resumed", "tls-resumed", "eap-tls-resumed", None),
)
# Beyond OpenSSL's own part, in microseconds; of FreeRADIUS, at most.
MOST_BEYOND, MOST_OF_FREERADIUS = 150, 0.5
MOST_P99 = 3
HALF_OPEN_SOURCES, MOST_KILOBYTES = 8, 40


def with_certificate(prepared, certificates):
    """The same certificate for both; P-256, signed by an authority that is not sent along."""
    folder = prepared.folder / "eap"
    folder.mkdir(exist_ok=True)
    for name in ("server.pem", "server.key"):
        shutil.copy(certificates / name, folder / name)
    return prepared


def both(certificates):
    """Certificate and key of the authority, as the generator reads them: it issues a certificate for each user."""
    file = certificates / "authority.both.pem"
    file.write_text((certificates / "authority.pem").read_text() + (certificates / "authority.key").read_text())
    file.chmod(0o600)
    return file


def eap(options):
    """Full logins, closed loop; what counts is the server's processor time, since the client's part costs more than the server's."""
    certificates = make_certificates(options.place / "eap")
    limit_program = compiled(options, "bench-handshake.c", libraries=["-lssl", "-lcrypto"])
    rows = []
    for _ in range(options.rounds):
        for data, mode, kind, theirs_mode, records in METHODS:
            prepared = with_certificate(Prepared(options, options.users, data), certificates)
            mutual = data == "eap-tls"
            for version in VERSIONS:
                more = ["--newest-tls", version] + (["--device-authority", both(certificates)] if mutual else [])
                node = running.Node(options.sallyport, prepared.folder, more=[
                    "--eap-client-ca", certificates / "authority.pem", "--eap-client-names", "common-name"] if mutual else ())
                node.start()
                row = load(options, prepared, node, mode, more=more)
                if mode == "ttls-code":
                    # The same login without EAP, at the same pace: what comes together shares a commit, and handshakes come one by one.
                    node.settle()
                    row["codeCost"] = load(options, prepared, node, "code", rate=max(1, round(row["accepted"])))["serverMicrosecondsPerLogin"]
                node.stop()
                row["tls"] = version
                if records is not None:
                    client = [certificates / "authority.pem", certificates / "client.pem", certificates / "client.key"] if mutual else []
                    limit = json.loads(running.run(
                        limit_program, certificates / "server.pem", certificates / "server.key", version, 1, records, *client))["microseconds"]
                    row.update(limit=limit, beyond=row["serverMicrosecondsPerLogin"] - limit)
                rows.append(row)
                if FREERADIUS.exists():
                    with freeradius(options, kind, options.users, lambda folder: shutil.copytree(certificates, folder / "tls")) as theirs:
                        row = load_freeradius(options, theirs, theirs_mode, more=more)
                    rows.append({**row, "what": mode, "tls": version})
    for row in rows:
        if row["system"] == "Sallyport":
            def same(other, system, row=row):
                return other["system"] == system and (other["what"], other["tls"]) == (row["what"], row["tls"])
            row["ofFreeRADIUS"] = times(
                rows, lambda other: same(other, "Sallyport"), lambda other: same(other, "FreeRADIUS"), "serverMicrosecondsPerLogin")
    rows.sort(key=lambda row: (row["what"], row["tls"], row["system"]))
    show("EAP, full handshakes", [
        ("system", "system"), ("mode", "what"), ("TLS", "tls"), ("window", "window"), ("accepted/s", "accepted"), ("rejected/s", "rejected"),
        ("lost/s", "lost"), ("p50 us", "p50"), ("p99 us", "p99"), ("server us/login", "serverMicrosecondsPerLogin"), ("OpenSSL us", "limit"),
        ("beyond us", "beyond"), ("code us", "codeCost"), ("of FreeRADIUS", "ofFreeRADIUS"), ("load MB", "megabytes"), ("keys", "proofs"), ("resumed", "resumed"), ("bad", "badReplies"),
    ], rows)
    print(f"Bars: at most {MOST_BEYOND} us beyond OpenSSL's own part, and {MOST_OF_FREERADIUS} of FreeRADIUS.")
    return rows


def handshakes(options):
    """Codes at an even pace, alone and beside as many full handshakes as the server makes."""
    prepared, rows = with_certificate(Prepared(options, options.users), make_certificates(options.place / "handshakes")), []
    half = options.users // 2
    node = running.Node(options.sallyport, prepared.folder)
    codes = {"rate": 200, "more": ["--users", half]}
    for _ in range(options.rounds):
        node.start()
        node.settle()
        alone = {**load(options, prepared, node, **codes), "load": "alone"}
        # Other users, or both would use up each other's codes.
        command = load_command(
            options, prepared, node.port, node.process, "ttls-code", window=32, seconds=options.seconds + 2 * options.warmup + 1,
            more=["--users", half, "--first-user", half, "--source", "127.0.0.4"])
        # What devices compute is elsewhere in real life: here it gets what others leave of the cores.
        beside = subprocess.Popen(["chrt", "--idle", "0", *command], stdout=subprocess.PIPE, text=True)
        running.started.append(beside)
        time.sleep(1)
        loaded = {**load(options, prepared, node, **codes), "load": "beside"}
        shaken = json.loads(beside.communicate(timeout=120)[0])
        running.started.remove(beside)
        prepared.went_on(max(prepared.counter, shaken["nextCounter"]))
        node.stop()
        shaken.update(system="Sallyport", what="ttls-code", load="handshakes")
        loaded["p99Ratio"] = loaded["p99"] / alone["p99"]
        rows += [alone, loaded, shaken]
    show("Codes beside handshakes", [
        ("mode", "what"), ("load", "load"), ("rate", "rate"), ("accepted/s", "accepted"), ("lost/s", "lost"), ("p50 us", "p50"), ("p99 us", "p99"),
        ("times p99", "p99Ratio"), ("bad", "badReplies"),
    ], rows)
    print(f"Bar: {MOST_P99} times p99.")
    return rows


def half_open(options):
    """Conversations that stop behind the server's flight, of eight gateways; then honest devices."""
    prepared = with_certificate(Prepared(options, options.users, "ttls-code"), make_certificates(options.place / "half-open"))
    count = 2_000 if options.quick else 20_000
    node = running.Node(options.sallyport, prepared.folder)
    node.start()
    # What a first login makes for good is no conversation's.
    load(options, prepared, node, seconds=1)
    node.settle()
    before = node.kilobytes()
    begun = 0
    for number in range(HALF_OPEN_SOURCES):
        row = json.loads(running.run(*load_command(
            options, prepared, node.port, node.process, "half-open", seconds=120,
            more=["--source", f"127.0.1.{number + 1}", "--most", count // HALF_OPEN_SOURCES, "--warmup", 0])))
        begun += round(row["challenged"] * row["seconds"])
    node.settle()
    after, figures = node.kilobytes(), node.figures()
    honest = load(options, prepared, node)
    kept = figures.get("sallyport_eap_conversations", 0)
    honest.update(
        begun=begun, kept=round(kept), pushedOut=round(figures.get('sallyport_eap_conversations_total{event="pushed_out"}', 0)),
        kilobytesEach=(after - before) / max(1, kept), grownMegabytes=(after - before) / 1024)
    node.stop()
    show("Half-open conversations, then honest logins", [
        ("begun", "begun"), ("kept", "kept"), ("pushed out", "pushedOut"), ("grown MB", "grownMegabytes"), ("KB each", "kilobytesEach"), ("mode", "what"),
        ("accepted/s", "accepted"), ("rejected/s", "rejected"), ("lost/s", "lost"), ("p99 us", "p99"), ("bad", "badReplies"),
    ], [honest])
    print(f"Bar: {MOST_KILOBYTES} KB each, and nothing lost.")
    return [honest]


PARTS = (eap, handshakes, half_open)
