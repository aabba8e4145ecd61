"""Profiles: what everybody may see of a person."""

from typing import Any, Final

import orjson

from posthouse.accounts import rules, store
from posthouse.accounts.errors import NotYours, ProfileNotFound
from posthouse.accounts.model import Profile
from posthouse.matrix import MxcUri, UserId, encode_parsed
from posthouse.streams import EntryKind, UserStreams, Write

_DISPLAYNAME: Final = "displayname"
_AVATAR_URL: Final = "avatar_url"


class Profiles:
    """Reads and changes profiles. A change is an entry, which rooms carry into memberships."""

    def __init__(self, streams: UserStreams) -> None:
        self._streams = streams

    async def fields(self, user_id: UserId) -> dict[str, bytes]:
        """Each field with its value as JSON; raises ProfileNotFound without such a person."""
        reader = self._streams.reader()
        fields = await store.profile_fields(reader, user_id)
        if not fields and await store.user_of(reader, user_id) is None:
            raise ProfileNotFound
        return fields

    async def field(self, user_id: UserId, key: str) -> bytes:
        """The JSON value of one field; raises ProfileNotFound where it isn't set."""
        fields = await self.fields(user_id)
        if key not in fields:
            raise ProfileNotFound
        return fields[key]

    async def profile_of(self, user_id: UserId) -> Profile:
        """What goes into a membership; empty for who has set nothing, or isn't here."""
        fields = await store.profile_fields(self._streams.reader(), user_id)
        name, avatar = fields.get(_DISPLAYNAME), fields.get(_AVATAR_URL)
        return Profile(
            displayname=None if name is None else orjson.loads(name),
            avatar_url=None if avatar is None else MxcUri(orjson.loads(avatar)),
        )

    async def set_field(self, by: UserId, user_id: UserId, key: str, value: Any) -> None:
        """Sets a field of one's own; a value that was there already changes nothing."""
        if by != user_id:
            raise NotYours
        rules.check_profile_key(key)
        rules.check_profile_value(key, value)
        if rules.clears_field(key, value):
            await self.delete_field(by, user_id, key)
            return
        encoded = encode_parsed(value)

        async def work(write: Write) -> None:
            fields = await store.profile_fields(write, user_id)
            if fields.get(key) == encoded:
                return
            sizes = {name: len(kept) for name, kept in fields.items()}
            rules.check_profile_size(sizes | {key: len(encoded)})
            await store.set_profile_field(write, user_id, key, encoded)
            write.append(user_id, EntryKind.PROFILE, subject=key)

        await self._streams.write(user_id, work)

    async def delete_field(self, by: UserId, user_id: UserId, key: str) -> None:
        """Removes a field of one's own, where it is set."""
        if by != user_id:
            raise NotYours
        rules.check_profile_key(key)

        async def work(write: Write) -> None:
            if key in await store.profile_fields(write, user_id):
                await store.delete_profile_field(write, user_id, key)
                write.append(user_id, EntryKind.PROFILE, subject=key)

        await self._streams.write(user_id, work)
