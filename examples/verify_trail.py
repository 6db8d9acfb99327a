#!/usr/bin/env python3
"""Verifies an exported trail, without retentiond: verify_trail.py TRAIL.jsonl [--key VKEY]... [CHECKPOINT ...]
TRAIL.jsonl: by `retentiond audit export`; CHECKPOINT: files kept elsewhere, as mailed; VKEY: the trail's keys, as mailed (else
those that it names). Exit: 0 proved, 1 tampered, 2 usage, 4 nothing outside vouches for it. The format: docs/audit.md."""
import base64, datetime, email, functools, hashlib, hmac, json, re, sys, time
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519: RFC 8032, section 5.1
D = -121665 * pow(121666, P - 2, P) % P
def add(a, b):
    x, y = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    z, t = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return (y - x) * (t - z) % P, (t + z) * (y + x) % P, (t - z) * (t + z) % P, (y - x) * (y + x) % P
def multiply(scalar, point):
    rest = multiply(scalar >> 1, add(point, point)) if scalar else (0, 1, 1, 0)
    return add(rest, point) if scalar & 1 else rest
def decompress(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P) if y < P and (x * x - square) % P == 0 and (x or not sign) else None
BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
def signed_by(public, message, signature):
    key, r, s = decompress(public), decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    if len(signature) != 64 or not key or not r or s >= L:
        return False
    a, b = multiply(s, BASE), add(r, multiply(k, key))
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0
def need(condition, what):
    if not condition:
        raise ValueError(what)
def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def canonical(text):
    value = json.loads(text, parse_float=lambda _: None)
    need(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text, "not in canonical form")
    return value
def unhex(text, length):
    need(len(text) == 2 * length and set(text) <= set("0123456789abcdef"), "no hexadecimal digits")
    return bytes.fromhex(text)
def instant(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
def unbase64(text):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "not in base64")
    return data
def read_key(text):
    origin, key_id, key = text.strip().split("+", 2)
    key = unbase64(key)
    need(len(key) == 33 and key[0] == 1 and sha256(origin.encode(), b"\n", key)[:4].hex() == key_id, "no verifier key")
    return origin, bytes.fromhex(key_id), key[1:]
def find_note(data):  # in a mail that was saved, indented, with line ends of another system
    parts = [data] + [part.get_payload(decode=True) or b"" for part in email.message_from_bytes(data).walk()]
    lines = [line.strip(" \t\r") + "\n" for part in parts for line in part.decode(errors="replace").split("\n")]
    return (re.findall("(?:.*\n){4}(?:\u2014 .*\n)+", "".join(lines)) or [data.decode()])[0]
def read_note(note):  # what a checkpoint says, its text, and who signed that
    found = re.fullmatch("([!-*,-~]{1,150})\n(0|[1-9][0-9]{0,19})\n(.+)\n\n((?:\u2014 [^ \n]* .+\n)+)", note)
    need(found and int(found[2]) < 2**64 and len(unbase64(found[3])) == 32, "no checkpoint")
    signed = [(line.split(" ", 2)[1], unbase64(line.split(" ", 2)[2])) for line in found[4].split("\n")[:-1]]
    return found[1], int(found[2]), unbase64(found[3]), note[:found.start(4) - 1].encode(), signed
def is_signed(note, keys):
    return any(n == note[0] == k[0] and s[:4] == k[1] and signed_by(k[2], note[3], s[4:]) for n, s in note[4] for k in keys)
def tree_root(subtrees):
    return functools.reduce(lambda right, left: sha256(b"\1", left, right), subtrees[::-1]) if subtrees else sha256()
def check_runs(record, runs, ended, first):  # a run that has begun has one end, and its batches are its total
    run, job, kind, d = record["run"], record.get("job"), record["type"], record["d"]
    need(run not in ended and (kind != "run.begin" or run not in runs), "a run begins twice, or goes on after its end")
    need(kind != "run.begin" or all(r["job"] != job or r["torn"] for r in runs.values()), "a job's last run has no end")
    need(kind == "run.begin" or run in runs or first > 0, "a run has no beginning")
    known = runs.setdefault(run, {"job": job, "torn": kind != "run.begin", "unknown": None, "rows": 0, "files": 0})
    need(known["job"] == job, "a run is of two jobs")
    if kind == "batches.intent":
        need(known["unknown"] is None, "batches are intended before what those before them did is recorded")
        known["unknown"] = d
    elif kind == "batches.done":
        intent, known["unknown"] = known["unknown"], None
        need(known["torn"] if not intent else intent["first"] == d["first"] and d["last"] <= intent["last"],
             "batches were done that were not intended")
        for what in ("rows", "files"):
            need(sum(part[what] for part in d["sums"]) == d[what], "batches do not add up")
            known[what] += d[what]
    elif kind == "run.end":
        need(known["torn"] or all(d.get(what) == known[what] for what in ("unknown", "rows", "files")), "no total of batches")
        ended.add(run)
        del runs[run]
def check(data, known, trusted):
    lines = data.decode().split("\n")
    need(lines.pop() == "", "the last line has no end")
    head, *lines = map(canonical, lines)
    size, keys = head["size"], [read_key(text) for text in head["keys"]]
    notes = [read_note(line["checkpoint"]) for line in lines[size:] if len(line) == 1]
    need(head["format"] == "retentiond-trail/1" and len(head) == 7, "no exported trail")
    need(repr([size, head["checkpoints"]]) == repr([len(lines) - len(notes), len(notes)]), "lines are missing, or too many")
    anchored, own, roots, tree, first, start, gap = -1, -1, {}, [], None, sha256(), (0, None, sha256().hex(), -1)
    for note, kept in [(note, False) for note in notes] + [(note, True) for note in known]:
        need(is_signed(note, trusted or keys if kept else keys + trusted), "no key of this trail signed a checkpoint")
        origin, at, root = note[:3]
        need(origin == head["origin"] and at <= size and roots.setdefault(at, root) == root and (kept or at > own),
             "a checkpoint of another trail, one that contradicts another, or the end was cut off")
        anchored, own = (max(anchored, at), own) if kept else (anchored, at)
    segments = {s["first"]: unhex(s["key"], 32) for s in head["segments"] if need(len(s) == 2 and type(s["first"]) is int, "no segment") is None}
    prev, secret, hours, runs, ended = bytes(32), None, [-1], {}, set()
    for seq, line in enumerate(lines[:size]):
        need(seq not in roots or roots[seq] == tree_root(tree), "the first %d records were changed" % seq)
        leaf, secret = unhex(line["leaf"], 47), segments.get(seq, secret)
        hour, body = int.from_bytes(leaf[9:13], "big"), line.get("body")
        need(repr(line["seq"]) == repr(seq) and leaf[:9] == b"\1" + seq.to_bytes(8, "big") and len(line) == (2 if body is None else 3)
             and (first is None or body), "record %d is another, or gone" % seq)
        hours += [hour] if body is None else []
        if body is not None:
            first, start = (seq, tree_root(tree)) if first is None else (first, start)
            salt = hmac.digest(secret, b"ralog/1 salt" + seq.to_bytes(8, "big"), "sha256")
            need(hmac.digest(salt, body.encode(), "sha256") == leaf[15:], "record %d was changed" % seq)
            record = canonical(body)
            need((record["v"], record["seq"], record["prev"], instant(record["t"]) // 3600) == (1, seq, prev.hex(), hour),
                 "record %d is another" % seq)
            if record["type"] == "trail.prune":  # of what was older than itself, and not before
                last, gap = gap[0], (record["d"]["to"], record["d"]["before"], record["d"]["root"], seq)
                need(instant(gap[1]) < instant(record["t"]) < time.time() + 86400 and gap[0] > last, "no pruning: %d" % seq)
            need("run" not in record or check_runs(record, runs, ended, first) is None, "")
        prev = node = sha256(b"\0", leaf)
        while seq & 1:
            node, seq = sha256(b"\1", tree.pop(), node), seq >> 1
        tree.append(node)
    need(size not in roots or roots[size] == tree_root(tree), "records were changed")
    first, start = (size, tree_root(tree)) if first is None else (first, start)
    need((first, head["pruned"], start.hex()) == (gap[0], gap[0], gap[2]), "records are gone, not pruned")
    need(first == 0 or max(hours) < instant(gap[1]) // 3600, "records were pruned that were too young")
    need(first in (0, min(segments, default=0)) and max(segments, default=-1) < size, "keys of segments that are not there")
    expired = "; those below %d expired, older than %s" % (first, gap[1]) if first else ""
    expired += "" if gap[3] < anchored else ", of which no known checkpoint tells" if first else ""
    return anchored, "%d records, a checkpoint from elsewhere vouches for %d of them%s" % (size, max(anchored, 0), expired)
def verify(data, known, keys=(), status=2):
    try:
        notes, trusted = [read_note(find_note(note)) for note in known], [read_key(key) for key in keys]
        status = 1
        anchored, found = check(data, notes, trusted)
        return (0 if anchored >= 0 else 4), found
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as wrong:
        return status, ascii(str(wrong))
if __name__ == "__main__":
    given = sys.argv[1:]
    paths = [word for place, word in enumerate(given) if word != "--key" and given[place - 1:place] != ["--key"]]
    try:
        exported, *kept = [open(path, "rb").read() for path in paths]
    except (OSError, ValueError) as wrong:
        sys.exit(print(wrong if paths else __doc__, file=sys.stderr) or 2)
    status, text = verify(exported, kept, [key for word, key in zip(given, given[1:]) if word == "--key"])
    sys.exit(print({0: "proved: ", 1: "TAMPERED: ", 2: "error: ", 4: "unanchored: "}[status] + text) or status)
