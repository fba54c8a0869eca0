"""Run the demonstration's broker until Ctrl-C, and print what the city receives."""

from __future__ import annotations

import argparse
import asyncio

from tools.broker import DemoBroker, Subscriber


async def main(port: int) -> None:
    """Run until cancelled."""
    async with DemoBroker(port) as broker, Subscriber(broker.port).listening() as city:
        print(f"{broker.name} on 127.0.0.1:{broker.port}, no TLS, for demonstrations only; Ctrl-C ends it", flush=True)
        async for message in city.follow():
            print(message.kind, message.payload.decode(), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=1883)
    try:
        asyncio.run(main(parser.parse_args().port))
    except KeyboardInterrupt:
        print("ended")
