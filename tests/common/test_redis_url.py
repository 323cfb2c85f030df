"""A URL of Redis with words that are not understood is refused before anything connects."""

import pytest

from services.common.redis.link import open_redis_link


@pytest.mark.anyio
@pytest.mark.parametrize("words", ["db=x", "timeuot=3", "socket_timeout=soon"])
async def test_words_that_are_not_understood(words: str) -> None:
    """The refusal names the setting and the word."""
    with pytest.raises(ValueError, match=rf"STUDIO_STATUSES_URL: .*{words.partition('=')[0]}"):
        async with open_redis_link(f"redis://127.0.0.1:1/0?{words}"):
            pass
