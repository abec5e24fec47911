#!/usr/bin/env python3
"""Writes the golden vectors of the log's format, from FORMAT.md alone: a second reading of it, in another language.

    pip install cryptography && python3 make.py

Everything is made of fixed seeds, so that a second run writes the same bytes (but for gzip's, which may differ by zlib's
version, and are not part of the log).
"""

import base64
import gzip
import hashlib
import json
import random
import shutil
import struct
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HERE = Path(__file__).parent
ORIGIN = "gate.example.jp/audit"
MICROSECOND = 1_000_000


# RFC 6962, section 2.1: written as it stands there.

def sha256(data):
    return hashlib.sha256(data).digest()


def split(n):
    """The largest power of two smaller than n."""
    return 1 << (n - 1).bit_length() - 1


def mth(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [mth(leaves[k:])]
    return path(m - k, leaves[k:]) + [mth(leaves[:k])]


def proof(m, leaves):
    return subproof(m, leaves, True)


def subproof(m, leaves, whole):
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], whole) + [mth(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [mth(leaves[:k])]


def b64(data):
    return base64.b64encode(data).decode()


# C2SP signed-note, tlog-checkpoint, tlog-cosignature.

class Key:
    def __init__(self, name, seed, kind=1):
        self.name, self.kind = name, kind
        self.private = Ed25519PrivateKey.from_private_bytes(sha256(seed.encode()))
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.typed = bytes([kind]) + public
        self.id = sha256(name.encode() + b"\n" + self.typed)[:4]

    def vkey(self):
        return f"{self.name}+{self.id.hex()}+{b64(self.typed)}"

    def line(self, text, time=1_793_600_000):
        if self.kind == 1:
            signature = self.private.sign(text.encode())
        else:
            message = f"cosignature/v1\ntime {time}\n{text}".encode()
            signature = struct.pack(">Q", time) + self.private.sign(message)
        return f"\u2014 {self.name} {b64(self.id + signature)}\n"


LOG_KEY = Key(ORIGIN, "the log's key")
SECOND_KEY = Key(ORIGIN, "the log's second key")
OTHER_KEY = Key(ORIGIN, "somebody else's key")
WITNESS = Key("witness.example/w1", "a witness's key", kind=4)


def checkpoint(leaves, size, keys):
    text = f"{ORIGIN}\n{size}\n{b64(mth(leaves[:size]))}\n"
    return text + "\n" + "".join(key.line(text) for key in keys)


# C2SP tlog-tiles.

def numbered(n, width):
    digits = f"{n % 1000:03}"
    while n >= 1000:
        n //= 1000
        digits = f"x{n % 1000:03}/{digits}"
    return digits if width == 256 else f"{digits}.p/{width}"


def write(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())


def write_tiles(folder, leaves, size, minimum=0):
    for n in range((size + 255) // 256):
        bundle = leaves[256 * n : min(256 * n + 256, size)]
        if 256 * n + 256 <= minimum:
            continue
        entries = b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in bundle)
        write(folder / "tile/entries" / numbered(n, len(bundle)), gzip.compress(entries, 9, mtime=0))
    hashes, level = [sha256(b"\x00" + leaf) for leaf in leaves[:size]], 0
    while hashes:
        for n in range((len(hashes) + 255) // 256):
            tile = hashes[256 * n : 256 * n + 256]
            if level > 0 or 256 * n + 256 > minimum:
                write(folder / "tile" / str(level) / numbered(n, len(tile)), b"".join(tile))
        span = 256 ** (level + 1)
        hashes = [mth(leaves[at : at + span]) for at in range(0, size - span + 1, span)]
        level += 1


def write_log(name, leaves, keys=(LOG_KEY,), heads=(), minimum=0, vkeys=(LOG_KEY,), sizes=()):
    folder = HERE / "logs" / name
    for size in (*sizes, len(leaves)):
        write_tiles(folder, leaves, size, minimum)
    write(folder / "checkpoint", checkpoint(leaves, len(leaves), keys))
    for date, size in heads:
        write(folder / "heads" / date, checkpoint(leaves, size, [LOG_KEY]))
    write(folder / "log.vkey", "".join(key.vkey() + "\n" for key in vkeys))
    if minimum:
        write(folder / "minimum-index", f"{minimum}\n")


# Leaves.

class Writer:
    """Gives numbers and times, and writes leaves with their fields in the order of the page."""

    def __init__(self, seed, boot=1, seq=1):
        self.random = random.Random(seed)
        self.boot, self.seq = boot, seq
        self.at = 1_793_500_000 * MICROSECOND
        self.leaves = []

    def next(self):
        self.seq += 1
        return self.seq - 1

    def restart(self, boot):
        self.boot, self.seq = boot, 1

    def leaf(self, kind, fields=None, seq=None, outcome_seq=None):
        self.at += self.random.randrange(1, 20 * MICROSECOND)
        head = {"v": 1, "boot": self.boot, "seq": self.next() if seq is None else seq}
        if outcome_seq is not None:
            head["outcome_seq"] = outcome_seq
        head |= {"kind": kind, "at": self.at, "salt": f"{self.random.getrandbits(64):016x}"}
        line = json.dumps(head | (fields or {}), ensure_ascii=False, separators=(",", ":"))
        # json.dumps escapes DEL not at all and control characters in lower case, as the page wants it.
        self.leaves.append(line.encode() + b"\n")

    def request_fields(self):
        person = self.random.randrange(20)
        app = self.random.choice(["kaipoke", "kintone"])
        return {
            "app": app,
            "host": f"{app}.gate.example.jp",
            "method": "GET",
            "path": self.random.choice(["/", "/k/v1/records.json?app=***", "/biz/plan.do?id=***", "/js/app.js"]),
            "action": "view",
            "decision": "permit",
            "reason": "rule",
            "rule": f"{app}-inside",
            "person": f"p{person:03}",
            "session": f"s{person:03}",
            "factors": 2,
            "source": "192.0.2.7",
            "networks": ["office"],
            "inside": True,
            "tls": "1.3",
            "http": "2",
            "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)",
        }

    def outcome_fields(self):
        total = self.random.randrange(1000, 90_000)
        return {
            "at": self.at + total,
            "end": "ok",
            "status": 200,
            "bytes_in": 0,
            "bytes_out": self.random.randrange(50_000),
            "upstream_us": total - 500,
            "total_us": total,
        }

    def request(self, overlap=0):
        """A request and its outcome; so many other records are made while it goes on."""
        seq = self.next()
        others = [self.next() for _ in range(overlap)]
        outcome_seq = self.next()
        self.leaf("request", self.request_fields() | {"outcome": self.outcome_fields()}, seq, outcome_seq)
        for other in others:
            self.leaf("heartbeat", seq=other)

    def open_request(self):
        fields = self.request_fields() | {"path": "/ws", "navigation": True}
        self.leaf("request", fields)
        return [self.boot, self.seq - 1]

    def outcome(self, of, end="ok"):
        fields = self.outcome_fields() | {"end": end}
        del fields["at"]
        self.leaf("outcome", {"of": of} | fields)

    def fill(self, size):
        while len(self.leaves) < size:
            self.request(min(self.random.choice([0, 0, 0, 1, 2]), size - len(self.leaves) - 1))


def every_kind(w):
    w.leaf("start", {"version": "0.1.0", "configuration": sha256(b"configuration").hex()})
    w.leaf("sign-in", {
        "result": "ok", "person": "p001", "provider": "local", "account": "suzuki", "factors": 2, "method": "passkey",
        "passkey": "pk-7", "session": "s001", "source": "192.0.2.7", "networks": ["office"], "inside": True,
        "user_agent": "Mozilla/5.0",
    })
    fields = w.request_fields() | {"user_agent": "日本語 \" \\ \b\f\n\r\t \x01\x1f\x7f \u2028 😀", "path": "/検索?q=***"}
    denied = {"decision": "deny", "reason": "no-rule", "source": "2001:db8::7", "inside": False}
    seq, outcome = w.next(), w.next()
    w.leaf("request", fields | denied | {"outcome": w.outcome_fields() | {"end": "refused", "status": 403}}, seq, outcome)
    w.leaf("aggregate", {"source": "198.51.100.9", "minute": 29891666, "count": 120, "first": w.at, "last": w.at + 59})
    w.leaf("aggregate", {"minute": 29891666, "count": 7, "first": w.at, "last": w.at + 7})
    w.leaf("change", {"by": "admin", "channel": "cli", "what": "device-revoked", "subject": "d-0007", "details": {"why": "lost"}})
    w.leaf("reading", {"by": "auditor", "channel": "console", "what": "requests", "filter": {"person": "p001"}, "rows": 50})
    w.leaf("reload", {"accepted": True, "configuration": sha256(b"another").hex()})
    w.leaf("clock-accepted", {"by": "admin", "newest": w.at})
    w.leaf("sign-out", {"person": "p001", "session": "s001", "cause": "asked", "source": "192.0.2.7"})
    w.leaf("a-kind-of-tomorrow", {"with": {"nested": [1, 2, {"three": None}]}})
    w.leaf("heartbeat")


def long_history():
    """Every kind; requests that overlap; two crashes, one of which lost records; a boot that wrote nothing."""
    w = Writer("long history")
    every_kind(w)
    socket = w.open_request()
    forgotten = w.open_request()
    w.fill(200)
    w.outcome(socket, "cut")
    w.fill(300)
    # Killed: the request's outcome is not known, two records were lost, one was never confirmed.
    w.leaf("request", w.request_fields() | {"outcome": {"end": "outcome-unknown"}})
    lost = w.seq
    w.seq += 3
    w.request()
    boot = w.boot
    w.restart(3)
    w.leaf("recovery", {
        "of_boot": boot, "truncated_bytes": 112, "quarantined": ["00000007.damaged"],
        "lost": [[lost, lost + 1]], "unconfirmed": [[lost + 2, lost + 2], [w.seq + 10_000, w.seq + 10_003]],
    })
    w.outcome(forgotten, "outcome-unknown")
    w.leaf("start", {"version": "0.1.0", "configuration": sha256(b"configuration").hex()})
    w.fill(520)
    w.leaf("stop", {"cause": "SIGTERM"})
    w.restart(4)
    w.leaf("start", {"version": "0.1.1", "configuration": sha256(b"configuration").hex()})
    # The clock was set back.
    w.at -= 3600 * MICROSECOND
    w.fill(700)
    return w.leaves


def lost_requests():
    """Two requests were lost whose outcomes were not; the next boot tells of them, one as lost, one as never confirmed."""
    w = Writer("lost requests")
    w.fill(20)
    damaged = w.next()
    w.request()
    w.outcome([w.boot, damaged])
    w.leaf("unreadable", {"sha256": sha256(b"no record").hex()})
    w.outcome([w.boot, w.seq - 1])
    torn = w.next()
    w.outcome([w.boot, torn])
    w.restart(2)
    w.leaf("recovery", {"of_boot": 1, "truncated_bytes": 0, "lost": [[damaged, damaged]], "unconfirmed": [[torn, torn]]})
    w.fill(40)
    return w.leaves


def pruned_history():
    w = Writer("pruned history", boot=7, seq=4001)
    w.fill(900)
    root = b64(mth(w.leaves[:512]))
    w.leaf("retention", {"before": w.at - 86_400 * MICROSECOND, "dropped_to": 512, "root": root})
    w.fill(1024)
    return w.leaves


# What is taken from a log.

def write_proof(file, leaves, index, keys):
    text = f"c2sp.org/tlog-proof@v1\nextra {b64(leaves[index])}\nindex {index}\n"
    text += "".join(b64(hash) + "\n" for hash in path(index, leaves))
    write(file, text + "\n" + checkpoint(leaves, len(leaves), keys))


def write_consistency(file, leaves, old, keys):
    text = f"old {old}\n" + "".join(b64(hash) + "\n" for hash in proof(old, leaves))
    write(file, text + "\n" + checkpoint(leaves, len(leaves), keys))


def write_export(file, leaves, wanted, keys):
    lines, hashes = [], []

    def cover(first, level):
        last = first + (1 << level)
        if not any(first <= index < last for index in wanted):
            hashes.append(f"hash {level} {first >> level} {b64(mth(leaves[first:last]))}\n".encode())
        elif level == 0:
            lines.append(f"leaf {first} ".encode() + leaves[first])
        else:
            cover(first, level - 1)
            cover(first + (1 << level - 1), level - 1)

    first = 0
    for level in range(len(leaves).bit_length() - 1, -1, -1):
        if len(leaves) >> level & 1:
            cover(first, level)
            first += 1 << level
    about = {"person": "p001", "from": "2026-11-01", "to": "2026-11-30", "by": "auditor"}
    head = b"sekisho-export/v1\nabout " + json.dumps(about, separators=(",", ":")).encode() + b"\n"
    write(file, head + b"".join(lines) + b"".join(hashes) + b"\n" + checkpoint(leaves, len(leaves), keys).encode())


def main():
    for made in ("logs", "taken", "kept"):
        shutil.rmtree(HERE / made, ignore_errors=True)
    for name, key in [("log", LOG_KEY), ("second", SECOND_KEY), ("other", OTHER_KEY), ("witness", WITNESS)]:
        write(HERE / "keys" / f"{name}.vkey", key.vkey() + "\n")
    # Private keys of nobody: who writes other logs for tests signs with them. The seeds are SHA-256 of these words.
    write(HERE / "keys/seeds.json", json.dumps({"log": "the log's key", "second": "the log's second key",
                                                 "other": "somebody else's key", "witness": "a witness's key"}, indent=1) + "\n")

    write_log("empty", [])
    for size in (1, 255, 256, 257):
        w = Writer(f"{size} leaves")
        w.fill(size)
        write_log(str(size), w.leaves)

    long = long_history()
    assert len(long) == 700
    everybody = (LOG_KEY, SECOND_KEY, WITNESS)
    write_log("700", long, everybody, heads=[("2026-11-01", 257), ("2026-11-02", 512)], vkeys=(LOG_KEY, SECOND_KEY), sizes=[257])
    for size in (1, 256, 257, 512, 699, 700):
        write(HERE / "kept" / f"700-at-{size}", checkpoint(long, size, [LOG_KEY]))
    # A receipt: the log's checkpoint with a witness's word for it.
    write(HERE / "kept/700-at-257-witnessed", checkpoint(long, 257, [LOG_KEY, WITNESS]))
    write_proof(HERE / "taken/14.tlog-proof", long, 14, everybody)
    write_proof(HERE / "taken/699.tlog-proof", long, 699, everybody)
    for old in (1, 256, 257, 699, 700):
        write_consistency(HERE / f"taken/{old}.tlog-consistency", long, old, everybody)
    of_one_person = [index for index, leaf in enumerate(long) if b'"person":"p001"' in leaf]
    write_export(HERE / "taken/p001.sekisho-export", long, of_one_person, everybody)
    write_export(HERE / "taken/nothing.sekisho-export", long, [], everybody)

    write_log("lost", lost_requests())

    pruned = pruned_history()
    assert len(pruned) == 1024
    write_log("pruned", pruned, heads=[("2026-10-30", 256), ("2026-10-31", 300), ("2026-11-01", 800)], minimum=512)

    # One leaf each as text, with its hash and what a reader has to see in it.
    w = Writer("leaves")
    every_kind(w)
    w.open_request()
    leaves = [{"leaf": leaf.decode().rstrip("\n"), "hash": sha256(b"\x00" + leaf).hex()} for leaf in w.leaves]
    write(HERE / "leaves.json", json.dumps(leaves, ensure_ascii=False, indent=1) + "\n")

    # Leaves that a reader must refuse: of each, two programs might show different things.
    head = '{"v":1,"boot":1,"seq":1,"kind":"request","at":1,"salt":"00112233aabbccdd","outcome":{"end":"outcome-unknown"'
    reach = '{"v":1,"boot":1,"seq":1,"outcome_seq":262146,"kind":"request","at":1,"salt":"00112233aabbccdd","outcome":{"at":1,"end":"ok"}}'
    near = reach.replace("262146", "2")
    bad = [
        ("a name twice", head + '},"person":"p001","person":"p002"}'),
        ("a name of the head twice", head + '},"kind":"heartbeat"}'),
        ("a name twice in the outcome", head + ',"end":"ok"}}'),
        ("white space", head + '},"person": "p001"}'),
        ("a raw control character", head + '},"path":"/\x1b[2K"}'),
        ("escaped though it need not be", head + '},"person":"p\\u0030\\u0030\\u0031"}'),
        ("escaped longer than it need be", head + '},"path":"\\u000a"}'),
        ("an escape that is none", head + '},"path":"\\x"}'),
        ("no value", head + '},"person":}'),
        ("two objects", head + '}}{"person":"p001"}'),
        ("an array that does not end", head + '},"networks":["office"}'),
        ("a number with a leading zero", head + '},"factors":02}'),
        ("a number with a fraction", head + '},"factors":2.0}'),
        ("a number with an exponent", head + '},"factors":2e0}'),
        ("zero with a sign", head + '},"factors":-0}'),
        ("a number beyond 64 bits", head + '},"factors":9223372036854775808}'),
        ("too deep", head + '},"deep":' + "[" * 64 + "]" * 64 + "}"),
        ("an outcome's number out of reach", reach),
        ("an outcome's number, and no outcome", near.replace(',"outcome":{"at":1,"end":"ok"}', "")),
        ("an outcome's number, and an outcome of something else", near.replace(',"outcome":', ',"new":{"outcome":').replace("}}", "}}}")),
        ("an outcome's number, and an outcome without a time", near.replace('"at":1,"end"', '"end"')),
        ("an outcome's number, and an outcome that is not known", near.replace('"ok"', '"outcome-unknown"')),
        ("an outcome's number where there is no outcome", near.replace('"request"', '"heartbeat"')),
        ("a drop that can't be compared", near.replace('"outcome_seq":2,', "").replace('"request"', '"retention"').replace(
            '"outcome":{"at":1,"end":"ok"}',
            '"before":1,"dropped_to":300,"root":"' + base64.b64encode(bytes(32)).decode() + '"')),
    ]
    write(HERE / "bad-leaves.json", json.dumps([{"why": why, "leaf": leaf} for why, leaf in bad], indent=1) + "\n")


main()
