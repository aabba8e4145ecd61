"""GET /_matrix/client/v3/capabilities

Tells what people may do here, and which room versions there are.
https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities
"""

from posthouse.app.discovery import Discovery
from posthouse.http import Limit, RawJson, get


@get("/_matrix/client/v3/capabilities", Limit.READS)
def get_capabilities(discovery: Discovery) -> RawJson:
    return RawJson(discovery.capabilities)
