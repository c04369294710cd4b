"""An `async def` is awaited. Sleeping moves the call's own clock and costs no time."""

import asyncio


async def slow_square(number: int) -> int:
    await asyncio.sleep(number)
    return number * number


async def gather(numbers: list[int]) -> list[int]:
    """Squares the numbers, all at once."""
    return await asyncio.gather(*map(slow_square, numbers))
