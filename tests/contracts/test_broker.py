"""Every broker, embedded or distributed, keeps its promises about messages."""

import asyncio
from contextlib import aclosing

import pytest

from services.common.brokers.delivery import Settlement
from services.common.ports import Broker
from services.common.schemas import JobMessage
from tests.contracts.conftest import OpenBroker
from tests.support.deliveries import DEADLINE_SECONDS, await_depth, publish, receive
from tests.support.messages import new_message, new_model

pytestmark = pytest.mark.anyio


async def test_message_arrives_as_published(broker: Broker) -> None:
    """A consumer gets the message's body and id, and no earlier delivery is counted."""
    message = new_message(new_model()).model_copy(update={"params": {"prompt": "é{}%s\u2028☕", "seed": 4294967295}})
    await broker.publish(message)

    [delivery] = await receive(broker, message.model, 1)

    assert message == JobMessage.decode(delivery.body)
    assert (message.message_id, 0) == (delivery.message_id, delivery.deliveries)


async def test_headers_travel_beside_the_message(broker: Broker) -> None:
    """A message comes with the headers it was published with, on every delivery, or with none."""
    model, headers = new_model(), {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "é": "☕"}
    await broker.publish(new_message(model), headers)
    await publish(broker, model, 1)
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        with pytest.raises(RuntimeError, match="handling"):
            async with await anext(deliveries):
                raise RuntimeError("handling")

    assert [headers, {}] == [delivery.headers for delivery in await receive(broker, model, 2)]


async def test_messages_keep_their_order(broker: Broker) -> None:
    """A single consumer gets messages in the order of publishing."""
    model = new_model()
    published = await publish(broker, model, 10)

    assert published == [delivery.message_id for delivery in await receive(broker, model, 10)]


async def test_waiting_consumer_gets_what_another_broker_publishes(broker: Broker, open_broker: OpenBroker) -> None:
    """A consumer that waits is woken by a publish from elsewhere."""
    model = new_model()
    waiting = asyncio.create_task(receive(broker, model, 1))
    await asyncio.sleep(0.1)
    async with open_broker() as elsewhere:
        [message_id] = await publish(elsewhere, model, 1)
        [delivery] = await waiting

    assert message_id == delivery.message_id


async def test_messages_outlive_the_broker_that_published_them(open_broker: OpenBroker) -> None:
    """A message published before a restart is delivered after it."""
    model = new_model()
    async with open_broker() as before:
        published = await publish(before, model, 3)
    async with open_broker() as after:
        assert published == [delivery.message_id for delivery in await receive(after, model, 3)]


async def test_acked_message_is_gone(open_broker: OpenBroker) -> None:
    """After its ack a message is neither counted nor delivered again, not even after a restart."""
    model = new_model()
    async with open_broker() as before:
        await publish(before, model, 1)
        await receive(before, model, 1)
    async with open_broker() as after:
        [last] = await publish(after, model, 1)
        assert [last] == [delivery.message_id for delivery in await receive(after, model, 1)]
        await await_depth(after, model, 0)


async def test_each_model_has_its_own_queue(broker: Broker) -> None:
    """A consumer gets the messages of its model alone."""
    mine, other = new_model(), new_model()
    await publish(broker, other, 1)
    [message_id] = await publish(broker, mine, 1)

    [delivery] = await receive(broker, mine, 1)

    assert message_id == delivery.message_id
    await await_depth(broker, other, 1)


async def test_depth_counts_ready_messages(broker: Broker) -> None:
    """A message in a consumer's hands is not counted, one put back is; an unknown model has depth 0."""
    model = new_model()
    assert await broker.depth(model) == 0
    await publish(broker, model, 3)
    await await_depth(broker, model, 3)
    async with aclosing(broker.consume(model, 1)) as deliveries:
        delivery = await anext(deliveries)
        await await_depth(broker, model, 2)
    await delivery.settle(Settlement.REQUEUE)

    await await_depth(broker, model, 3)


async def test_consumers_share_a_queue(broker: Broker, open_broker: OpenBroker) -> None:
    """Each message reaches exactly one of two brokers' consumers."""
    model, received = new_model(), list[str]()
    published = await publish(broker, model, 40)

    async def consume(one: Broker) -> None:
        async with aclosing(one.consume(model, 2)) as deliveries:
            async for delivery in deliveries:
                async with delivery:
                    received.append(delivery.message_id)
                    await asyncio.sleep(0.002)

    async with open_broker() as elsewhere:
        consuming = [asyncio.create_task(consume(one)) for one in (broker, elsewhere)]
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(received) < len(published):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)  # the poll of an embedded consumer: time for a second delivery to show up
        for task in consuming:
            task.cancel()
        await asyncio.wait(consuming)

    assert sorted(published) == sorted(received)


async def test_cancelled_pull_loses_no_message(broker: Broker) -> None:
    """A message is not lost when the pulling task is cancelled around its arrival."""
    model, published, received = new_model(), list[str](), list[str]()

    async def pull() -> None:
        async with aclosing(broker.consume(model, 1)) as deliveries, await anext(deliveries) as body:
            received.append(JobMessage.decode(body).message_id)

    for milliseconds in range(12):
        pulling = asyncio.create_task(pull())
        published += await publish(broker, model, 1)
        await asyncio.sleep(milliseconds / 2000)
        pulling.cancel()
        await asyncio.wait((pulling,))
    missing = len(set(published) - set(received))
    received += [delivery.message_id for delivery in await receive(broker, model, missing)]

    assert sorted(published) == sorted(received)
    await await_depth(broker, model, 0)


async def test_consumer_tells_whether_it_consumes(broker: Broker) -> None:
    """The event is set once deliveries can come, before the first does, and cleared when the consumer is closed."""
    model, consuming = new_model(), asyncio.Event()
    pulling = asyncio.ensure_future(anext(deliveries := broker.consume(model, 1, consuming)))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await consuming.wait()
        assert not pulling.done()
        await publish(broker, model, 1)
        async with await pulling:
            assert consuming.is_set()
    await deliveries.aclose()
    assert not consuming.is_set()


async def test_open_broker_answers(broker: Broker) -> None:
    """A broker that can be used answers a ping by returning."""
    await broker.ping()
