"""Push: which apps of a person want to be told of news, and where.

Owns the pushers. What others rely on:

(1) A pusher ends with the sign-in that set it, and with the account.
(2) An app's address (`app_id` and `pushkey`) that somebody else sets anew, without `append`, is
    theirs alone: a phone that changed hands tells nobody's news to another.
(3) Each change is an entry PUSHERS of the person's log, in the same transaction.
"""

from posthouse.push.forgetting import ForgetPushers
from posthouse.push.model import Pusher
from posthouse.push.service import Pushers
from posthouse.push.settings import PushSettings

__all__ = ["ForgetPushers", "PushSettings", "Pusher", "Pushers"]
