# SPDX-License-Identifier: Apache-2.0
# A mail server for tests: smtp-server.py FOLDER MODE [CERTIFICATE KEY]
# Says its port in FOLDER/port and keeps what it takes in FOLDER/mail-N.eml, one file a mail, with the envelope on top.
# What MODE names is refused: accept, grey (each recipient once), refuse (550), wrong-sender (4xx at MAIL), full (552 behind the
# content), drop (closes behind the content, the first time), auth (needs vpn/right-password), silent (answers nothing).
import asyncio
import os
import socket
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

folder, mode = sys.argv[1], sys.argv[2]
implicit = mode.startswith("tls-")
mode = mode.removeprefix("tls-")


class Handler:
    def __init__(self):
        self.count = 0
        self.seen = set()

    async def handle_MAIL(self, server, session, envelope, address, options):
        if mode == "wrong-sender":
            return "451 4.7.1 sender is not known yet"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if mode == "refuse":
            return "550 5.1.1 <%s> no such user here" % address
        if mode == "grey" and address not in self.seen:
            self.seen.add(address)
            return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.count += 1
        name = "%s/mail-%d.eml" % (folder, self.count)
        with open(name + ".new", "wb") as file:
            secured = "yes" if session.ssl else "no"
            file.write(b"X-From: %s\r\nX-To: %s\r\nX-Login: %s\r\nX-TLS: %s\r\n" % (
                envelope.mail_from.encode(), ",".join(envelope.rcpt_tos).encode(),
                str(getattr(session, "authenticated", False)).encode(), secured.encode()))
            file.write(envelope.original_content)
        os.rename(name + ".new", name)
        if mode == "drop" and self.count == 1:
            server.transport.abort()
            return "250 nobody hears this"
        if mode == "full":
            return "552 5.2.2 mailbox is full"
        return "250 2.0.0 taken as %d" % self.count


def authenticate(server, session, envelope, mechanism, data):
    right = data.login == b"vpn" and data.password == b"right-password"
    return AuthResult(success=right, handled=False)


context = None
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])

if mode == "silent":
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
else:
    probe = socket.create_server(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    options = {"hostname": "127.0.0.1", "port": port}
    if mode == "auth":
        options.update(authenticator=authenticate, auth_required=True, auth_require_tls=context is not None and not implicit)
    if context and implicit:
        options.update(ssl_context=context)
    elif context:
        options.update(tls_context=context, require_starttls=True)
    controller = Controller(Handler(), **options)
    controller.start()

with open(folder + "/port.new", "w") as file:
    file.write("%d\n" % port)
os.rename(folder + "/port.new", folder + "/port")
asyncio.new_event_loop().run_forever()
