"""Every object store, embedded or distributed, keeps its promises."""

import asyncio
import random
from uuid import uuid4

import pytest

from services.common.errors import ObjectNotFound
from services.common.ports import ObjectStore

pytestmark = pytest.mark.anyio


def new_folder() -> str:
    """Return a prefix that no other test uses, since objects outlive a test."""
    return f"jobs/{uuid4()}"


async def put(objects: ObjectStore, key: str, data: bytes = b"data") -> None:
    await objects.put(key, data, "application/octet-stream")


async def read(objects: ObjectStore, key: str) -> bytes:
    return b"".join([chunk async for chunk in objects.get(key)])


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 1_000_003])
async def test_object_is_read_as_written(objects: ObjectStore, size: int) -> None:
    """An object is read as it was put, at any size."""
    key, data = f"{new_folder()}/a.png", random.Random(size).randbytes(size)  # noqa: S311 - data, not a secret
    await put(objects, key, data)

    assert data == await read(objects, key)


async def test_large_object_comes_in_chunks(objects: ObjectStore) -> None:
    """No chunk of a large object is the whole of it."""
    key = f"{new_folder()}/a.mp4"
    await put(objects, key, bytes(3_000_000))

    chunks = [len(chunk) async for chunk in objects.get(key)]

    assert sum(chunks) == 3_000_000
    assert max(chunks) <= 1_000_000


async def test_put_replaces(objects: ObjectStore) -> None:
    """A second put under a key replaces the object."""
    key = f"{new_folder()}/manifest.json"
    await put(objects, key, b"a longer first text")
    await put(objects, key, b"second")

    assert await read(objects, key) == b"second"


@pytest.mark.parametrize("name", ["nothing.json", "there", "there/nothing"])
async def test_missing_object_is_named(objects: ObjectStore, name: str) -> None:
    """Getting a key without an object raises before the first chunk, beside and below other objects too."""
    folder = new_folder()
    await put(objects, f"{folder}/there/a.json")

    with pytest.raises(ObjectNotFound, match=f"{folder}/{name}"):
        await anext(aiter(objects.get(f"{folder}/{name}")))


DATA = random.Random(7).randbytes(600_000)  # noqa: S311 - data, not a secret; more than two chunks


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 1),
        (0, 600_000),
        (0, 10**12),
        (1, None),
        (599_999, None),
        (599_999, 600_000),
        (599_999, 10**12),
        (100, 262_244),
        (262_144, 262_145),
        (1000, 590_001),
    ],
)
async def test_part_of_an_object(objects: ObjectStore, start: int, end: int | None) -> None:
    """A part is the bytes from its start to before its end, or as far as there are any, in chunks."""
    key = f"{new_folder()}/a.wav"
    await put(objects, key, DATA)

    chunks = [chunk async for chunk in objects.get(key, start, end)]

    assert b"".join(chunks) == DATA[start:end]
    assert all(chunks)
    assert max(map(len, chunks)) < 500_000


@pytest.mark.parametrize(("size", "start", "end"), [(10, 10, None), (10, 10, 11), (10, 10**12, None), (0, 1, 2)])
async def test_part_behind_the_end_is_told(objects: ObjectStore, size: int, start: int, end: int | None) -> None:
    """A part that begins behind the object's last byte raises before the first chunk, and names that byte."""
    key = f"{new_folder()}/a.wav"
    await put(objects, key, bytes(size))

    with pytest.raises(ObjectNotFound, match=f"no byte {start} of the object {key}"):
        await anext(aiter(objects.get(key, start, end)))


async def test_parts_of_an_empty_and_of_a_missing_object(objects: ObjectStore) -> None:
    """The first bytes of an empty object are none, and those of a missing object raise."""
    folder = new_folder()
    await put(objects, f"{folder}/empty.wav", b"")

    assert [chunk async for chunk in objects.get(f"{folder}/empty.wav", 0, 10)] == []
    with pytest.raises(ObjectNotFound, match=f"no object {folder}/missing.wav"):
        await anext(aiter(objects.get(f"{folder}/missing.wav", 5, 10)))


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 5), (6, 5), (0, 0)])
async def test_part_that_is_no_range(objects: ObjectStore, start: int, end: int | None) -> None:
    """A part without a byte, or with a negative one, is the caller's fault."""
    key = f"{new_folder()}/a.wav"
    await put(objects, key)

    with pytest.raises(ValueError, match="is no range of bytes"):
        await anext(aiter(objects.get(key, start, end)))


async def test_list_is_sorted_and_below_the_prefix(objects: ObjectStore) -> None:
    """Listing gives the whole keys that start with the prefix, at any depth, in order."""
    folder = new_folder()
    for name in ("b.png", "a.png", "deep/er/c.png", "manifest.json"):
        await put(objects, f"{folder}/{name}")
    await put(objects, f"{folder}-other/a.png")

    expected = [f"{folder}/{name}" for name in ("a.png", "b.png", "deep/er/c.png", "manifest.json")]
    assert expected == await objects.list(f"{folder}/")
    assert expected[2:3] == await objects.list(f"{folder}/deep/")
    assert [*(f"{folder}-other/a.png",), *expected] == await objects.list(folder)
    assert await objects.list(f"{new_folder()}/") == []


async def test_deleted_objects_are_gone(objects: ObjectStore) -> None:
    """Deleting removes these keys and no others."""
    folder = new_folder()
    keys = [f"{folder}/{number}.png" for number in range(3)]
    for key in keys:
        await put(objects, key)

    await objects.delete(keys[:2])

    assert keys[2:] == await objects.list(f"{folder}/")
    with pytest.raises(ObjectNotFound):
        await read(objects, keys[0])


async def test_delete_can_be_repeated(objects: ObjectStore) -> None:
    """Deleting nothing, missing keys, or keys again is no error, and a deleted key can be put again."""
    key = f"{new_folder()}/deep/a.png"
    await put(objects, key)
    for keys in ([], [key], [key], [f"{new_folder()}/a.png"]):
        await objects.delete(keys)

    await put(objects, key, b"again")

    assert await read(objects, key) == b"again"


async def test_puts_and_deletes_of_neighbours_do_not_meet(objects: ObjectStore) -> None:
    """While objects beside it are deleted, a put never fails and never loses its object."""
    folder = new_folder()

    async def churn(name: str) -> None:
        for _ in range(10):
            await put(objects, f"{folder}/{name}")
            await objects.delete([f"{folder}/{name}"])

    async def keep(number: int) -> None:
        await put(objects, f"{folder}/kept-{number}.png")

    await asyncio.gather(churn("a.png"), churn("b.png"), *(keep(number) for number in range(10)))

    assert sorted(f"{folder}/kept-{number}.png" for number in range(10)) == await objects.list(f"{folder}/")


async def test_half_read_object_can_be_left(objects: ObjectStore) -> None:
    """A reader that leaves after the first chunk does not keep others from reading."""
    key = f"{new_folder()}/a.mp4"
    await put(objects, key, bytes(1_000_000))
    for _ in range(60):
        async for _ in objects.get(key):
            break

    assert len(await read(objects, key)) == 1_000_000


async def test_open_store_answers(objects: ObjectStore) -> None:
    """A store that can be used answers a ping by returning."""
    await objects.ping()


async def test_cleared_folder_is_gone(objects: ObjectStore) -> None:
    """Clearing removes all below the folder at any depth and no neighbour; it can be repeated, and undone by a put."""
    folder = new_folder()
    for name in ("a.png", "manifest.json", "deep/er/c.png"):
        await put(objects, f"{folder}/{name}")
    neighbours = [f"{folder}-2/a.png", f"{folder}2"]
    for key in neighbours:
        await put(objects, key)

    for _ in range(2):
        await objects.clear(folder)

        assert await objects.list(f"{folder}/") == []
        assert sorted(neighbours) == await objects.list(folder)
    await put(objects, f"{folder}/a.png")
    assert await read(objects, f"{folder}/a.png") == b"data"
