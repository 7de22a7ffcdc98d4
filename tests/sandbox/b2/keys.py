# SPDX-License-Identifier: GPL-3.0-or-later
"""The account's application keys and the tokens that they were exchanged for."""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from .clock import Clock

TOKEN_LIFE = timedelta(hours=24)


@dataclass(frozen=True)
class Key:
    """An application key. `bucket_ids` is None for a key that reaches the whole account.

    `multi_bucket` is true for a key that API version 4 made with `bucketIds`, even if it names a single bucket:
    versions 1 to 3 refuse such a key. `gone_at` is set once it was deleted: it is listed no more, but works until then.
    """

    id: str
    name: str
    secret: str = field(repr=False)
    capabilities: tuple[str, ...]
    bucket_ids: tuple[str, ...] | None = None
    prefix: str | None = None
    expires: datetime | None = None
    multi_bucket: bool = False
    gone_at: datetime | None = None

    def alive(self, now: datetime) -> bool:
        return all(end is None or now < end for end in (self.expires, self.gone_at))

    def listed(self, now: datetime) -> bool:
        return self.gone_at is None and self.alive(now)


def new_secret() -> str:
    """A secret in Backblaze's form. It may hold "+" and "/", which a careless client would escape."""
    return "K004" + base64.b64encode(secrets.token_bytes(21)).decode()[:27]


@dataclass(frozen=True)
class Token:
    key_id: str
    expires: datetime


class KeyRing:
    """All keys of the account. The master key is among them, but no application key: never listed, never S3."""

    def __init__(self, clock: Clock, account_id: str) -> None:
        self._clock = clock
        self._account_id = account_id
        self._created = 0
        self._keys: dict[str, Key] = {}
        self._tokens: dict[str, Token] = {}
        # Backblaze: "a deleted key may live on for a few minutes". Zero unless a test wants that.
        self.death_delay = timedelta(0)

    def add_master(self, capabilities: tuple[str, ...]) -> Key:
        """Make the account's master key, whose id is the account id."""
        key = Key(id=self._account_id, name="master", secret=secrets.token_hex(20), capabilities=capabilities)
        self._keys[key.id] = key
        return key

    def create(self, template: Key) -> Key:
        """Given a key without id and secret, mint it. Names need not be unique."""
        self._created += 1
        key = replace(template, id=f"004{self._account_id}{self._created:010d}", secret=new_secret())
        self._keys[key.id] = key
        return key

    def delete(self, key_id: str) -> None:
        self._keys[key_id] = replace(self._keys[key_id], gone_at=self._clock.now() + self.death_delay)

    def listed(self) -> list[Key]:
        """The application keys, in order of their ids."""
        now = self._clock.now()
        keys = (key for key in self._keys.values() if not self.is_master(key.id) and key.listed(now))
        return sorted(keys, key=lambda key: key.id)

    def find(self, key_id: str) -> Key | None:
        """Return the key if it can still be used."""
        key = self._keys.get(key_id)
        return key if key is not None and key.alive(self._clock.now()) else None

    def is_master(self, key_id: str) -> bool:
        return key_id == self._account_id

    def log_in(self, key_id: str, secret: str) -> Key | None:
        """Return the key if `secret` is its secret."""
        key = self.find(key_id)
        return key if key is not None and hmac.compare_digest(key.secret.encode(), secret.encode()) else None

    def issue_token(self, key: Key) -> str:
        token = "4_" + secrets.token_urlsafe(32)
        expires = min(filter(None, (self._clock.now() + TOKEN_LIFE, key.expires)))
        self._tokens[token] = Token(key.id, expires)
        return token

    def find_token(self, token: str) -> Token | None:
        return self._tokens.get(token)

    def expire_tokens(self) -> None:
        """Make every token that is out there an expired one."""
        now = self._clock.now()
        self._tokens = {text: replace(token, expires=min(token.expires, now)) for text, token in self._tokens.items()}
