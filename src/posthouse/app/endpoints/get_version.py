"""GET /_matrix/federation/v1/version

Names this server's software and its release. One of the two federation endpoints that a server
without federation has: clients show it to people who report a fault.
https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1version
"""

from posthouse.app.discovery import Discovery
from posthouse.http import Auth, RawJson, get


@get("/_matrix/federation/v1/version", auth=Auth.NONE)
def get_version(discovery: Discovery) -> RawJson:
    return RawJson(discovery.release)
