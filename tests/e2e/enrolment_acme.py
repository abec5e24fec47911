"""Enrols by ACME with certbot's library: directory URL, one-time identifier, and where to write key and chain (PEM).

What the library does not know is the identifier's type and the challenge; documents and signatures are its own.
"""

import json
import socket
import sys

import josepy
from acme import client, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

directory_url, identifier, key_file, chain_file = sys.argv[1:5]

# Every name ends in .localhost, which not every resolver knows.
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1", *rest, **more)


class Payload:
    def __init__(self, value):
        self.value = value

    def json_dumps(self, **_):
        return json.dumps(self.value)


account = ec.generate_private_key(ec.SECP256R1())
network = client.ClientNetwork(josepy.JWKEC(key=account), alg=josepy.ES256)
directory = client.ClientV2.get_directory(directory_url, network)
acme = client.ClientV2(directory, network)
acme.new_account(messages.NewRegistration.from_data(email=None, terms_of_service_agreed=True))


def post(url, value):
    return acme._post(url, Payload(value)) if value is not None else acme._post_as_get(url)


def new_order():
    return post(directory["newOrder"], {"identifiers": [{"type": "permanent-identifier", "value": identifier}]})


order = new_order().json()
authorization = post(order["authorizations"][0], None).json()
challenge = authorization["challenges"][0]
assert challenge["type"] == "device-attest-01", challenge
# What a device says that was not asked to attest.
answer = post(challenge["url"], {"attObj": "e30"}).json()
assert answer["status"] == "valid", answer
key = ec.generate_private_key(ec.SECP256R1())
request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
encoded = josepy.b64encode(request.public_bytes(serialization.Encoding.DER)).decode()
order = post(order["finalize"], {"csr": encoded}).json()
assert order["status"] == "valid", order
chain = post(order["certificate"], None).text
certificate = x509.load_pem_x509_certificate(chain.encode())
assert certificate.public_key() == key.public_key()
open(chain_file, "w").write(chain)
pem = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
open(key_file, "wb").write(pem)
try:
    new_order()
except messages.Error as error:
    print("again:", error.code)
