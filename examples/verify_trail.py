#!/usr/bin/env python3
"""Verifies an exported trail, without retentiond: verify_trail.py TRAIL.jsonl [--key VKEY] [CHECKPOINT ...]

TRAIL.jsonl comes from `retentiond audit export`; CHECKPOINT are files that were kept elsewhere, as mailed; VKEY is the
trail's verifier key, as first mailed (else the keys count that the export names). Exit code: 0 proved, 1 tampered,
2 usage, 4 nothing outside vouches for it. Needs Python 3.8 and nothing else. The format: docs/audit.md, "The audit trail"."""
import base64, datetime, functools, hashlib, hmac, json, sys
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519: RFC 8032, section 5.1
D = -121665 * pow(121666, P - 2, P) % P
def add(a, b):
    x, y = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    z, t = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return (y - x) * (t - z) % P, (t + z) * (y + x) % P, (t - z) * (t + z) % P, (y - x) * (y + x) % P
def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        result, point, scalar = add(result, point) if scalar & 1 else result, add(point, point), scalar >> 1
    return result
def decompress(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P) if y < P and (x * x - square) % P == 0 and (x or not sign) else None
BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
@functools.lru_cache(maxsize=100000)
def signed_by(public, message, signature):
    key, r, s = decompress(public), decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or not key or not r or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
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
    return int(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp())
def read_key(text):
    origin, key_id, key = text.split("+", 2)
    key = base64.b64decode(key, validate=True)
    need(len(key) == 33 and key[0] == 1 and sha256(origin.encode(), b"\n", key)[:4].hex() == key_id, "no verifier key")
    return origin, bytes.fromhex(key_id), key[1:]
def read_checkpoint(note, keys):
    text, signatures = note.split("\n\n", 1)
    origin, size, root = text.split("\n")
    need(signatures.endswith("\n") and str(int(size)) == size and int(size) >= 0, "no checkpoint")
    for line in signatures[:-1].split("\n"):
        dash, name, data = line.split(" ")
        data = base64.b64decode(data, validate=True)
        if any(dash == "\u2014" and name == origin == key[0] and data[:4] == key[1]
               and signed_by(key[2], (text + "\n").encode(), data[4:]) for key in keys):
            return origin, int(size), base64.b64decode(root, validate=True)
    raise ValueError("a checkpoint is not signed by a key of this trail")
def tree_root(subtrees):
    return functools.reduce(lambda right, left: sha256(b"\1", left, right), subtrees[::-1]) if subtrees else sha256()

def check_runs(record, runs, ended, first):  # a run that has begun has one end, and its batches are its total
    run, job, kind, d = record["run"], record.get("job"), record["type"], record["d"]
    need(run not in ended and (kind != "run.begin" or run not in runs), "a run begins twice, or goes on after its end")
    if kind == "run.begin":
        need(all(r["job"] != job or r["torn"] for r in runs.values()), "a job begins again, its last run without end")
    need(kind == "run.begin" or run in runs or first > 0, "a run has no beginning")
    known = runs.setdefault(run, {"job": job, "torn": kind != "run.begin", "open": None, "rows": 0, "files": 0})
    need(known["job"] == job, "a run is of two jobs")
    if kind == "batches.intent":
        need(known["open"] is None, "batches are intended before what those before them did is recorded")
        known["open"] = d
    elif kind == "batches.done":
        intent, known["open"] = known["open"], None
        need(known["torn"] if not intent else intent["first"] == d["first"] and d["last"] <= intent["last"],
             "batches were done that were not intended")
        for what in ("rows", "files"):
            need(sum(part[what] for part in d["sums"]) == d[what], "batches do not add up")
            known[what] += d[what]
    elif kind == "run.end":
        need(known["torn"] or d.get("unknown") == known["open"], "what the last batches did is not recorded")
        need(known["torn"] or all(d[what] == known[what] for what in ("rows", "files")), "batches are not the total")
        ended.add(run)
        del runs[run]

def check(data, known, key):
    lines = data.decode().split("\n")
    need(lines.pop() == "", "the last line has no end")
    head, *lines = map(canonical, lines)
    size, keys = head["size"], [read_key(text) for text in ([key] if key else head["keys"])]
    notes = [(line["checkpoint"], False) for line in lines[size:] if len(line) == 1]
    need(head["format"] == "retentiond-trail/1" and len(head) == 7, "no exported trail")
    need(len(lines) - size == head["checkpoints"] == len(notes), "lines are missing, or too many")
    anchored, own, roots, tree, first, start, gap = -1, -1, {}, [], None, sha256(), (0, None, sha256().hex())
    for note, kept in notes + [(note, True) for note in known]:
        origin, at, root = read_checkpoint(note, keys)
        need(origin == head["origin"] and at <= size, "a checkpoint of another trail, or the end was cut off")
        need(roots.setdefault(at, root) == root and (kept or at > own), "checkpoints contradict each other")
        anchored, own = (max(anchored, at), own) if kept else (anchored, at)
    segments = {s["first"]: unhex(s["key"], 32) for s in head["segments"] if need(len(s) == 2, "no segment") is None}
    prev, secret, hours, runs, ended = bytes(32), None, [-1], {}, set()
    for seq, line in enumerate(lines[:size]):
        need(seq not in roots or roots[seq] == tree_root(tree), "the first %d records were changed" % seq)
        leaf, secret = unhex(line["leaf"], 47), segments.get(seq, secret)
        hour, body = int.from_bytes(leaf[9:13], "big"), line.get("body")
        need(line["seq"] == seq and leaf[:9] == b"\1" + seq.to_bytes(8, "big"), "record %d is another" % seq)
        need(len(line) == (2 if body is None else 3) and (first is None or body), "record %d is gone" % seq)
        if body is None:
            hours.append(hour)
        else:
            first, start = (seq, tree_root(tree)) if first is None else (first, start)
            salt = hmac.digest(secret, b"ralog/1 salt" + seq.to_bytes(8, "big"), "sha256")
            need(hmac.digest(salt, body.encode(), "sha256") == leaf[15:], "record %d was changed" % seq)
            record = canonical(body)
            need((record["v"], record["seq"], record["prev"]) == (1, seq, prev.hex()), "record %d is another" % seq)
            need(instant(record["t"]) // 3600 == hour, "record %d is of another hour" % seq)
            if record["type"] == "trail.prune":
                gap = record["d"]["to"], record["d"]["before"], record["d"]["root"]
            need("run" not in record or check_runs(record, runs, ended, first) is None, "")
        prev = node = sha256(b"\0", leaf)
        while seq & 1:
            node, seq = sha256(b"\1", tree.pop(), node), seq >> 1
        tree.append(node)
    need(size not in roots or roots[size] == tree_root(tree), "records were changed")
    first, start = (size, tree_root(tree)) if first is None else (first, start)
    need((first, head["pruned"], start.hex()) == (gap[0], gap[0], gap[2]), "records are gone, not pruned")
    need(first == 0 or max(hours) < instant(gap[1]) // 3600, "records were pruned that were too young")
    return anchored, "%d records; a checkpoint from elsewhere vouches for the first %d" % (size, max(anchored, 0))

def verify(data, known, key=None):
    try:
        anchored, found = check(data, known, key)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as wrong:
        return 1, str(wrong)
    return (0 if anchored >= 0 else 4), found
if __name__ == "__main__":
    paths, vkey = sys.argv[1:], None
    if paths[1:2] == ["--key"]:
        vkey, paths[1:3] = "".join(paths[2:3]), []
    if not paths:
        sys.exit(print(__doc__) or 2)
    exported, *kept = [open(path, "rb").read() for path in paths]
    status, text = verify(exported, [note.decode() for note in kept], vkey)
    sys.exit(print({0: "proved: ", 1: "TAMPERED: ", 4: "unanchored: "}[status] + text) or status)
