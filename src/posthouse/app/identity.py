"""The server's name: chosen before the first start, the same for ever after."""


class NameRefused(Exception):
    """The configured name is not the one that the data belongs to."""


def check_server_name(recorded: str | None, configured: str) -> None:
    """Raises `NameRefused` where the data was begun under another name; None is a first start."""
    if recorded is None or recorded == configured:
        return
    raise NameRefused(
        f"This data belongs to the server {recorded}, but server.name is {configured}. The name is "
        f"part of every user id and can't change after the first start. Set server.name to "
        f"{recorded}, or start {configured} with a data folder (or database) of its own."
    )
