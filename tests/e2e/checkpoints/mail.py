"""A mail server on loopback: mail.py CERTIFICATE KEY FOLDER starttls|tls|plain [USER PASSWORD]

Prints its port, then keeps each mail as a JSON file in FOLDER, as Python's own mail parser reads it."""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Keep:
    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        attachment = next(message.iter_attachments(), None)
        kept = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["subject"],
            "id": message["message-id"],
            "date": message["date"],
            "text": message.get_body(("plain",)).get_content().replace("\r\n", "\n"),
            "name": attachment and attachment.get_filename(),
            "attachment": attachment and attachment.get_content().decode(),
            "tls": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.decode() if session.auth_data else None,
        }
        draft = os.path.join(self.folder, f"{self.count}.tmp")
        with open(draft, "w") as file:
            json.dump(kept, file)
        os.rename(draft, os.path.join(self.folder, f"{self.count}.json"))
        self.count += 1
        return "250 kept as number %d" % self.count


async def main(certificate, key, folder, security, user=None, password=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def authenticate(server, session, envelope, mechanism, data):
        good = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=good, handled=False, auth_data=data.login if good else None)

    keep = Keep(folder)
    wanted = {} if user is None else {"authenticator": authenticate, "auth_required": True}
    if security == "starttls":
        wanted |= {"tls_context": context, "require_starttls": True}
    else:
        wanted |= {"auth_require_tls": False}
    loop = asyncio.get_running_loop()
    outer = context if security == "tls" else None
    server = await loop.create_server(lambda: SMTP(keep, **wanted), "127.0.0.1", 0, ssl=outer)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
