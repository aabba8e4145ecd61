"""GET /_matrix/client/versions

Lists the versions of the specification that are served, and features that are not yet in it.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions
"""

from posthouse.app.discovery import Discovery
from posthouse.http import Auth, RawJson, get


@get("/_matrix/client/versions", auth=Auth.OPTIONAL)
def get_versions(discovery: Discovery) -> RawJson:
    return RawJson(discovery.versions)
