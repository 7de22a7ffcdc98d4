# SPDX-License-Identifier: GPL-3.0-or-later
"""Mint and store in one act, so that the secret of a key exists in Backblaze's answer and in the store, nowhere else.

The order makes a roll-out that dies at any step harmless, because the next one sees what it left:

1. store the name of the key to be, which is new and unique     (died after it: a key of that name is deleted)
2. create the key and compare the answer with what was asked
3. store id and secret, and the replaced key as retiring         (died after it: all is known)
4. delete retiring keys once the longest run that may use them is over
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..b2.application_keys import Key, KeyWithSecret, Scope, create_key, delete_key, list_keys
from ..b2.client import B2Client
from ..contract.errors import BackupError, ConfigurationError, DataRefused, NoPermission
from ..contract.key_file import WRITER_CAPABILITIES, KeyFile, Minted, RetiringKey, StoredKey, region_of
from ..contract.thread import ThreadName
from ..platforms.key_store import KeyStore
from .key_views import shown_file, shown_keys

CAPABILITIES = frozenset({"listKeys", "writeKeys", "deleteKeys", "listBuckets"})
# B2 takes 100 characters; the serial and its hyphen take 19.
_LONGEST_BASE = 80


@dataclass(frozen=True)
class KeySpec:
    """The key that a thread needs: `base` is the part of its name before the serial, `endpoint` the S3 URL."""

    base: str
    bucket: str
    bucket_id: str
    prefix: str
    endpoint: str
    capabilities: tuple[str, ...] = WRITER_CAPABILITIES

    @property
    def scope(self) -> Scope:
        """The scope that the key has to have, no less and no more."""
        return Scope((self.bucket_id,), self.prefix, tuple(sorted(self.capabilities)))

    def owns(self, key: Key) -> bool:
        """Return whether `key` can only have been made for this thread: whole name, bucket and prefix.

        The beginning of a name proves nothing: "fanout-a-b2" also begins the keys of the thread a/b2-1.
        """
        ours = re.fullmatch(re.escape(self.base) + "-[0-9]+", key.name)
        return bool(ours) and (key.scope.bucket_ids, key.scope.prefix) == ((self.bucket_id,), self.prefix)


@dataclass(frozen=True)
class RollOut:
    """How one roll-out goes about its keys. Times are Unix time and seconds.

    A replaced key stays for `grace`, which has to be longer than the longest run, unless `revoke` says that somebody
    else has it. `take_over` says that the keys of this thread that are alive and not stored here are of no use any
    more. `hide` gets every secret as soon as it is known, before anything else can go wrong.
    """

    now: int
    grace: int
    check_mode: bool = False
    rotate: bool = False
    revoke: bool = False
    take_over: bool = False
    hide: Callable[[str], None] = lambda _secret: None


@dataclass(frozen=True)
class KeyChange:
    """What a user may see of a key before and after (None: nothing), and why a new one was minted ("" if none was)."""

    before: dict[str, object] | None
    after: dict[str, object] | None
    reason: str = ""


@dataclass(frozen=True)
class Findings:
    """The store held against B2.

    `leftovers` bear the pending name; `strays` are other keys of this thread that the store does not know.
    """

    file: KeyFile
    listed: Mapping[str, Key]
    leftovers: tuple[Key, ...]
    strays: tuple[Key, ...]

    @property
    def stored(self) -> Key | None:
        """The stored key as B2 lists it, or None if there is none or B2 does not know it."""
        return self.listed.get(self.file.current.key_id) if self.file.current else None


def key_base(thread: ThreadName) -> str:
    """Return the name of a thread's keys without the serial, shortened unambiguously if it is too long for B2."""
    base = f"fanout-{thread.app}-{thread.source}-{thread.destination}"
    if len(base) <= _LONGEST_BASE:
        return base
    digest = hashlib.sha256(base.encode()).hexdigest()[:8]
    return f"{base[: _LONGEST_BASE - 9]}-{digest}"


def inspect(client: B2Client, spec: KeySpec, file: KeyFile) -> Findings:
    """List the account's keys and hold `file` against them."""
    listed = list_keys(client)
    known = {key.key_id for key in file.retiring} | ({file.current.key_id} if file.current else set())
    unknown = [key for key in listed.values() if key.key_id not in known]
    return Findings(
        file=file,
        listed=listed,
        leftovers=tuple(key for key in unknown if key.name == file.pending),
        strays=tuple(key for key in unknown if key.name != file.pending and spec.owns(key)),
    )


def flaw(client: B2Client, spec: KeySpec, found: Findings) -> str:
    """Return why the stored key cannot stay, or "". Authorizes with the key itself to see that its secret is right."""
    stored, key = found.file.current, found.stored
    if stored is None or stored.minted is None:
        return "no key of B2 is stored"
    if key is None:
        return "the stored key does not exist at B2"
    if difference := _difference(key.scope, spec.scope):
        return f"the {difference} of the key differs from what is wanted"
    if stored != _stored(spec, KeyWithSecret(key, stored.secret), stored.minted.created):
        return "what is stored beside the key differs from what B2 knows"
    try:
        client.with_key(stored.key_id, stored.secret).account()
    except NoPermission:
        return "B2 does not accept the stored secret"
    return ""


def ensure(client: B2Client, spec: KeySpec, store: KeyStore, roll_out: RollOut) -> KeyChange:
    """Make the store hold a working key of exactly `spec`'s scope, and clean up after earlier roll-outs."""
    client.require(CAPABILITIES)
    with _alone(store, roll_out):
        found = inspect(client, spec, _read(store, roll_out))
        before = shown_keys(found.file, found.strays)
        if found.stored is None:
            _check_owner(found, roll_out)
        asked = "a rotation was asked for" if roll_out.rotate or roll_out.revoke else ""
        reason = flaw(client, spec, found) or asked
        if roll_out.check_mode:
            return KeyChange(before, _foreseen(spec, found, reason, roll_out), reason)
        file = _without_leftovers(client, store, found)
        if reason:
            file = _mint(client, spec, store, roll_out, found)
        elif roll_out.take_over:
            file = dataclasses.replace(file, retiring=_retiring_after(found, roll_out, replaced=()))
        file = _without_due(client, store, file, roll_out)
        return KeyChange(before, shown_keys(file, _strays_after(found, roll_out)), reason)


def absent(client: B2Client, spec: KeySpec, store: KeyStore, roll_out: RollOut) -> KeyChange:
    """Delete every key of the thread at once and empty the store. A run that still uses one of them fails.

    Takes no lock: locking makes the folder, and what is left after dying here is found again by the same names.
    """
    client.require(CAPABILITIES)
    found = inspect(client, spec, _read(store, roll_out))
    before = shown_keys(found.file, found.strays)
    if found.file == KeyFile():
        _check_owner(found, roll_out)
    if before is None or roll_out.check_mode:
        return KeyChange(before, None)
    strays = found.strays if roll_out.take_over else ()
    doomed = {key.key_id: key for key in (*found.leftovers, *strays, *((found.stored,) if found.stored else ()))}
    doomed |= {key.key_id: found.listed[key.key_id] for key in found.file.retiring if key.key_id in found.listed}
    for key in doomed.values():
        delete_key(client, key.key_id, key.api_version)
    store.remove()
    return KeyChange(before, None)


def _check_owner(found: Findings, roll_out: RollOut) -> None:
    """Refuse where keys of this thread live and none of them is stored here: another machine, or another inventory,
    may be working with them, and deleting them would end its backups."""
    if found.strays and not roll_out.take_over:
        names = ", ".join(sorted(key.name for key in found.strays))
        raise ConfigurationError(
            f"keys of this thread that are not stored here are still valid: {names}",
            remedy="roll out from the machine that has them; if it is gone, take over once with take_over"
            " (fanout.backup.site --limit to this app, -e app_take_over=true), which deletes them",
        )


def _difference(found: Scope, wanted: Scope) -> str:
    names = {"bucket_ids": "bucket", "prefix": "prefix", "capabilities": "set of capabilities"}
    different = [label for name, label in names.items() if getattr(found, name) != getattr(wanted, name)]
    return " and ".join(different)


def _mint(client: B2Client, spec: KeySpec, store: KeyStore, roll_out: RollOut, found: Findings) -> KeyFile:
    name = f"{spec.base}-{_serial(roll_out.now)}"
    store.write(dataclasses.replace(found.file, api_url=client.api_url, pending=name))
    created = create_key(client, name, spec.scope)
    roll_out.hide(created.secret)
    try:
        difference = _difference(created.key.scope, spec.scope) or ("name" if created.key.name != name else "")
        if difference:
            raise DataRefused(
                f"B2 made a key whose {difference} differs from what was asked for",
                remedy="see the key's bucket at Backblaze and run again; nothing was kept",
            )
        file = KeyFile(
            api_url=client.api_url,
            current=_stored(spec, created, roll_out.now),
            retiring=_retiring_after(found, roll_out, replaced=(found.stored,) if found.stored else ()),
        )
        store.write(file)
    except BaseException:
        # The secret is about to be lost. If this fails as well, the pending name leads the next roll-out to the key.
        with contextlib.suppress(BackupError):
            delete_key(client, created.key.key_id, created.key.api_version)
        raise
    return file


def _stored(spec: KeySpec, minted: KeyWithSecret, created: int) -> StoredKey:
    key = minted.key
    return StoredKey(
        kind="b2",
        key_id=key.key_id,
        secret=minted.secret,
        endpoint=spec.endpoint,
        region=region_of(spec.endpoint),
        bucket=spec.bucket,
        prefix=spec.prefix,
        minted=Minted(key.name, spec.bucket_id, key.scope.capabilities, key.api_version, created),
    )


def _serial(now: int) -> str:
    """18 digits that no other key of the thread has: the time, for people, and a random part."""
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(now)) + f"{secrets.randbelow(10_000):04}"


def _retiring_after(found: Findings, roll_out: RollOut, *, replaced: Sequence[Key]) -> tuple[RetiringKey, ...]:
    """Return what is retiring once a new key is stored. What was taken over is due at once."""
    taken = found.strays if roll_out.take_over else ()
    return (
        *found.file.retiring,
        *(RetiringKey(key.key_id, key.name, key.api_version, roll_out.now) for key in replaced),
        *(RetiringKey(key.key_id, key.name, key.api_version, 0) for key in taken),
    )


def _strays_after(found: Findings, roll_out: RollOut) -> tuple[Key, ...]:
    return () if roll_out.take_over else found.strays


def _without_leftovers(client: B2Client, store: KeyStore, found: Findings) -> KeyFile:
    for key in found.leftovers:
        delete_key(client, key.key_id, key.api_version)
    if found.file.pending is None:
        return found.file
    file = dataclasses.replace(found.file, pending=None)
    store.write(file)
    return file


def _without_due(client: B2Client, store: KeyStore, file: KeyFile, roll_out: RollOut) -> KeyFile:
    staying = _staying(file.retiring, roll_out)
    if staying == file.retiring:
        return file
    for key in file.retiring:
        if key not in staying:
            delete_key(client, key.key_id, key.api_version)
    file = dataclasses.replace(file, retiring=staying)
    store.write(file)
    return file


def _staying(retiring: tuple[RetiringKey, ...], roll_out: RollOut) -> tuple[RetiringKey, ...]:
    grace = 0 if roll_out.revoke else roll_out.grace
    return tuple(key for key in retiring if roll_out.now - key.since < grace)


def _foreseen(spec: KeySpec, found: Findings, reason: str, roll_out: RollOut) -> dict[str, object] | None:
    """Return what `ensure` would leave."""
    if not reason:
        retiring = _staying(_retiring_after(found, roll_out, replaced=()), roll_out)
        file = dataclasses.replace(found.file, pending=None, retiring=retiring)
        return shown_keys(file, _strays_after(found, roll_out))
    replaced = (found.stored,) if found.stored else ()
    retiring = _staying(_retiring_after(found, roll_out, replaced=replaced), roll_out)
    return unborn(spec, KeyFile(retiring=retiring), _strays_after(found, roll_out))


def unborn(spec: KeySpec, file: KeyFile, strays: tuple[Key, ...] = ()) -> dict[str, object]:
    """Return what a user may see of a key that check mode would have minted: no id yet, and no serial in its name."""
    key = {
        "key_id": None,
        "name": f"{spec.base}-*",
        "bucket": spec.bucket,
        "prefix": spec.prefix,
        "capabilities": sorted(spec.capabilities),
    }
    return {**shown_file(file), **key, "strays": [stray.name for stray in strays]}


def _read(store: KeyStore, roll_out: RollOut) -> KeyFile:
    file = store.read() or KeyFile()
    if file.current is not None:
        roll_out.hide(file.current.secret)
    return file


@contextlib.contextmanager
def _alone(store: KeyStore, roll_out: RollOut) -> Iterator[None]:
    """Two roll-outs at once would take each other's pending key for a leftover. Check mode writes nothing, not even a
    folder to lock."""
    with contextlib.nullcontext() if roll_out.check_mode else store.locked():
        yield
