"""The size of a PostgreSQL database in bytes; with --settle, what is dead is swept away first.

python -m tests.bench.size postgresql://… [--settle]
"""

import asyncio
import sys

from tests.postgresql_server import connected


async def main(url: str, *, settle: bool) -> None:
    async with connected(url) as database:
        if settle:
            await database.execute("VACUUM ANALYZE")
            await database.execute("CHECKPOINT")
        print(await database.fetchval("SELECT pg_database_size(current_database())"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], settle="--settle" in sys.argv))
