"""GET /_matrix/client/v3/sync

What happened since a token, at once if there is something, else when there is or time is over.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
"""

from posthouse.http import Caller, Exchange, poll
from posthouse.sync.service import Sync


@poll("/_matrix/client/v3/sync")
def sync(service: Sync, caller: Caller, exchange: Exchange) -> None:
    service.poll(caller, exchange)
