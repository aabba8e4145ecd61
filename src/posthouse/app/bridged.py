"""What is said of other networks, while this server bridges to none."""

from posthouse.matrix import NotFound


class NotBridged(NotFound):
    usual_message = "This server bridges to no other network."
