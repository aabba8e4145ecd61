"""People may say that they want no invitations at all.

https://spec.matrix.org/v1.19/client-server-api/#invite-permission
"""

from typing import Final

import orjson

from posthouse.accounts import GLOBAL_DATA, Accounts
from posthouse.matrix import UserId

INVITE_PERMISSION: Final = "m.invite_permission_config"


async def blocks_invites(accounts: Accounts, user_id: UserId) -> bool:
    """Whether the person's account data say so; what isn't understood there blocks nothing."""
    said = await accounts.account_data.read(user_id, GLOBAL_DATA, INVITE_PERMISSION)
    if said is None:
        return False
    action: object = orjson.loads(said).get("default_action")
    return action == "block"
