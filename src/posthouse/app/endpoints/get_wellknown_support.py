"""GET /.well-known/matrix/support

Names whom to turn to about this server, if its operator said so.
https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport
"""

from posthouse.app.discovery import Discovery
from posthouse.http import Auth, RawJson, get


@get("/.well-known/matrix/support", auth=Auth.NONE)
def get_wellknown_support(discovery: Discovery) -> RawJson:
    return RawJson(discovery.support())
