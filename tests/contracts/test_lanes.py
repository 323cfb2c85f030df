"""Every broker, embedded or distributed, keeps its promises about a model's two lanes."""

import asyncio
from contextlib import aclosing

import pytest

from services.common.brokers.delivery import Delivery
from services.common.ports import Broker
from tests.contracts.conftest import OpenBroker
from tests.support.deliveries import DEADLINE_SECONDS, await_depth, publish, receive, reject
from tests.support.messages import new_message, new_model

pytestmark = pytest.mark.anyio


async def publish_bulk(broker: Broker, model: str, count: int) -> list[str]:
    messages = [new_message(model) for _ in range(count)]
    for message in messages:
        await broker.publish(message, bulk=True)
    return [message.message_id for message in messages]


async def test_a_crowd_keeps_nobody_from_being_delivered(broker: Broker) -> None:
    """A consumer that holds its limit of bulk messages still gets later messages of the other lane, and only those."""
    model = new_model()
    crowd = await publish_bulk(broker, model, 5)
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 2)) as deliveries:
        held = [await anext(deliveries) for _ in range(2)]
        following = asyncio.ensure_future(anext(deliveries))
        [alone] = await publish(broker, model, 1)
        delivered = await following

        assert {each.message_id for each in held} <= set(crowd)
        assert [each.bulk for each in (*held, delivered)] == [True, True, False]
        assert delivered.message_id == alone
        for each in (*held, delivered):
            async with each:
                pass


async def test_a_freed_hand_takes_from_its_own_lane(broker: Broker) -> None:
    """Each lane has a prefetch of its own: as many deliveries as were settled follow, in the order of publishing."""
    model = new_model()
    crowd, few = await publish_bulk(broker, model, 3), await publish(broker, model, 2)
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        taken: list[Delivery] = [await anext(deliveries), await anext(deliveries)]
        assert {each.message_id for each in taken} == {crowd[0], few[0]}
        bulk = next(each for each in taken if each.bulk)
        async with bulk:
            pass
        following = await anext(deliveries)
        assert (following.bulk, following.message_id) == (True, crowd[1])


async def test_depth_is_of_both(broker: Broker) -> None:
    """Both lanes are counted, and emptied by one consumer."""
    model = new_model()
    published = [*await publish(broker, model, 2), *await publish_bulk(broker, model, 3)]
    await await_depth(broker, model, 5)

    assert {each.message_id for each in await receive(broker, model, 5)} == set(published)
    await await_depth(broker, model, 0)


async def test_requeued_bulk_stays_bulk(open_broker: OpenBroker) -> None:
    """A worker that went away leaves its deliveries in the lanes they were in."""
    model = new_model()
    async with open_broker() as before:
        [message_id] = await publish_bulk(before, model, 1)
        async with asyncio.timeout(DEADLINE_SECONDS), aclosing(before.consume(model, 1)) as deliveries:
            await anext(deliveries)
    async with open_broker() as after:
        [again] = await receive(after, model, 1)

    assert (again.message_id, again.bulk) == (message_id, True)


async def test_dead_letter_of_the_bulk_comes_back(broker: Broker) -> None:
    """A dead letter is its model's, whatever lane it died in, and comes back in the first one."""
    model = new_model()
    [message_id] = await publish_bulk(broker, model, 1)
    await reject(broker, model)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not (found := [each for each in await broker.dead_letters(10_000) if each.message_id == message_id]):
            await asyncio.sleep(0.05)

    assert [letter.model for letter in found] == [model]
    assert await broker.replay(message_id)
    [again] = await receive(broker, model, 1)
    assert (again.message_id, again.bulk) == (message_id, False)
