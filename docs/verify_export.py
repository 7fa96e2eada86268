"""Checks what `guard audit export` and `guard audit prove` wrote. Needs nothing of genguard.

python verify_export.py KEY FILE.jsonl            with FILE.jsonl.checkpoint beside it
python verify_export.py KEY FOLDER                tiles, as c2sp.org/tlog-tiles lays them out
python verify_export.py KEY FILE.tlog-proof [LEAF]
KEY is the log's verifier key, NAME+ID+KEY, which you got in another way than the export.
Says "good" and ends with 0, or says what is wrong and ends with 1.
"""

# ruff: noqa: D103, BLE001 - short on purpose: it is there to be read

import hashlib
import sys
from base64 import b64decode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check(holds, why):
    if not holds:
        raise ValueError(why)


def leaf(data):
    return hashlib.sha256(b"\0" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(size):  # the largest power of two below size
    return 1 << ((size - 1).bit_length() - 1)


def root(hashes):  # RFC 6962, section 2.1
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    return node(root(hashes[: split(len(hashes))]), root(hashes[split(len(hashes)) :]))


def climb(hashed, index, size, path):  # RFC 6962, section 2.1.1: the last hash is the topmost
    if size == 1:
        check(not path, "the proof is too long")
        return hashed
    check(path, "the proof is too short")
    if index < split(size):
        return node(climb(hashed, index, split(size), path[:-1]), path[-1])
    return node(path[-1], climb(hashed, index - split(size), size - split(size), path[:-1]))


def checkpoint(note, key):
    name, key_id, public = key.strip().split("+", 2)
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.rstrip("\n").split("\n"):
        dash, signer, signature = line.split(" ")
        raw = b64decode(signature)
        if (dash, signer, raw[:4].hex()) == ("—", name, key_id):
            trusted = Ed25519PublicKey.from_public_bytes(b64decode(public)[1:])
            trusted.verify(raw[4:], f"{text}\n".encode())  # raises InvalidSignature
            origin, size, hashed = text.split("\n")[:3]
            check(origin == name, "the key is of another log")
            return int(size), b64decode(hashed)
    raise ValueError("the checkpoint is not signed with this key")


def rows(path):
    for number, line in enumerate(path.open(encoding="utf-8", newline="\n")):
        head, _, data = line.removesuffix("}\n").partition(', "leaf": ')
        expected = f'{{"index": {number}, "leaf_hash": "{leaf(data.encode()).hex()}"'
        check(head == expected, f"row {number} is not what it was")
        yield leaf(data.encode())


def place(number):  # 1234067 is x001/x234/067
    digits = str(number).zfill(-(-len(str(number)) // 3) * 3)
    return "/".join(
        [f"x{digits[at : at + 3]}" for at in range(0, len(digits) - 3, 3)] + [digits[-3:]]
    )


def entries(folder, size):
    for start in range(0, size, 256):
        name = place(start // 256)
        name += f".p/{size - start}" if size - start < 256 else ""
        data = (folder / "tile/entries" / name).read_bytes()
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            yield leaf(data[2:end])
            data = data[end:]


def prove(data, key, given):
    head, _, note = data.partition("\n\n")
    first, *lines = head.split("\n")
    check(first == "c2sp.org/tlog-proof@v1", "this is no tlog-proof")
    extra = b64decode(lines.pop(0)[6:]) if lines[0].startswith("extra ") else b""
    index, hashes = int(lines[0].removeprefix("index ")), [b64decode(one) for one in lines[1:]]
    size, expected = checkpoint(note, key)
    check(0 <= index < size, "there is no such row")
    found = climb(leaf(extra if given is None else given), index, size, hashes)
    check(found == expected, "the proof does not lead to the checkpoint's root")
    return f"row {index} is in the log of {size} rows"


def main(key, target, leaf_file=None):
    path = Path(target)
    if path.suffix == ".tlog-proof":
        return prove(path.read_text("utf-8"), key, leaf_file and Path(leaf_file).read_bytes())
    note = path / "checkpoint" if path.is_dir() else Path(f"{target}.checkpoint")
    size, expected = checkpoint(note.read_text("utf-8"), key)
    hashes = list(entries(path, size) if path.is_dir() else rows(path))
    check(len(hashes) == size, f"there are {len(hashes)} rows, the checkpoint says {size}")
    check(root(hashes) == expected, "the rows do not have the checkpoint's root")
    return f"{size} rows, root {expected.hex()}"


if __name__ == "__main__":
    try:
        print("good:", main(*sys.argv[1:]))
    except Exception as error:
        sys.exit(f"NOT PROVEN: {type(error).__name__}: {error}")
