"""What clients are answered: shapes, statuses, CORS."""

from tests.http.support import running


async def test_a_handler_gets_path_body_and_caller() -> None:
    async with running() as world:
        answer = await world.ask_one(
            "PUT",
            "/_matrix/client/v3/rooms/!r:localhost/echo/a%2Fb%20%C3%A9",
            body=b'{"value":"x","count":3,"unknown":[1.5]}',
        )
        assert answer.status == 200
        assert answer.json() == {
            "who": "@ada:localhost",
            "room_id": "!r:localhost",
            "name": "a/b é",
            "value": "x",
            "count": 3,
        }
