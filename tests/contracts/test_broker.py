"""What every broker promises, embedded or distributed."""

import asyncio
import time
from contextlib import aclosing

import pytest

from services.common.errors import InvalidMessage
from services.common.ports import Broker, Delivery, Settlement
from services.common.schemas import JobMessage
from tests.contracts.conftest import OpenBroker
from tests.services.messages import new_message, new_model

pytestmark = pytest.mark.anyio

PATIENCE_SECONDS = 15.0


async def publish(broker: Broker, model: str, count: int) -> list[str]:
    """Message ids in the order of publishing."""
    messages = [new_message(model) for _ in range(count)]
    for message in messages:
        await broker.publish(message)
    return [message.message_id for message in messages]


async def receive(broker: Broker, model: str, count: int, prefetch: int = 1) -> list[Delivery]:
    """The next deliveries in order, acked."""
    received: list[Delivery] = []
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, prefetch)) as deliveries:
        while len(received) < count:
            delivery = await anext(deliveries)
            async with delivery:
                received.append(delivery)
    return received


async def await_depth(broker: Broker, model: str, depth: int) -> None:
    """A server may take a moment to count what was settled."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await broker.depth(model) != depth:
            await asyncio.sleep(0.02)


async def test_message_arrives_as_published(broker: Broker) -> None:
    """A consumer gets the message's body and id, and no earlier delivery is counted."""
    message = new_message(new_model()).model_copy(update={"params": {"prompt": "é{}%s\u2028☕", "seed": 4294967295}})
    await broker.publish(message)

    [delivery] = await receive(broker, message.model, 1)

    assert message == JobMessage.decode(delivery.body)
    assert (message.message_id, 0) == (delivery.message_id, delivery.deliveries)


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
    """What was published before a restart is delivered after it."""
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
    assert 0 == await broker.depth(model)
    await publish(broker, model, 3)
    await await_depth(broker, model, 3)
    async with aclosing(broker.consume(model, 1)) as deliveries:
        delivery = await anext(deliveries)
        await await_depth(broker, model, 2)
    await delivery.settle(Settlement.REQUEUE)

    await await_depth(broker, model, 3)


async def test_failed_delivery_comes_back_first_and_is_counted(broker: Broker) -> None:
    """A message whose handling raised is delivered again, before later ones, with its earlier delivery counted."""
    model = new_model()
    first, second = await publish(broker, model, 2)
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        with pytest.raises(RuntimeError, match="handling"):
            async with await anext(deliveries):
                raise RuntimeError("handling")

    again = await receive(broker, model, 2)

    assert [(first, 1), (second, 0)] == [(delivery.message_id, delivery.deliveries) for delivery in again]


async def test_cancelled_delivery_comes_back(broker: Broker) -> None:
    """A message whose handling was cancelled is delivered again."""
    model = new_model()
    [message_id] = await publish(broker, model, 1)
    in_hand = asyncio.Event()

    async def handle() -> None:
        async with aclosing(broker.consume(model, 1)) as deliveries:
            async with await anext(deliveries):
                in_hand.set()
                await asyncio.sleep(PATIENCE_SECONDS)

    handling = asyncio.create_task(handle())
    await asyncio.wait_for(in_hand.wait(), PATIENCE_SECONDS)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling

    [again] = await receive(broker, model, 1)
    assert (message_id, 1) == (again.message_id, again.deliveries)


async def test_invalid_message_becomes_a_dead_letter(broker: Broker) -> None:
    """A message not understood leaves its queue; its consumer goes on; dead letters are listed oldest first."""
    model = new_model()
    published = await publish(broker, model, 3)
    before = time.time()
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        for _ in published[:2]:
            async with await anext(deliveries):
                raise InvalidMessage("not understood")
        async with await anext(deliveries):
            pass

    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(letters := [letter for letter in await broker.dead_letters(1000) if letter.model == model]) < 2:
            await asyncio.sleep(0.05)

    assert published[:2] == [letter.message_id for letter in letters]
    assert published[0] == JobMessage.decode(letters[0].body).message_id
    assert before - 2 <= letters[0].died_at <= letters[1].died_at <= time.time() + 2
    assert 1 == len(await broker.dead_letters(1))
    await await_depth(broker, model, 0)


async def test_replayed_dead_letter_is_delivered_once(broker: Broker) -> None:
    """Replaying moves a dead letter back to its queue; there is nothing left to replay then."""
    model = new_model()
    [message_id] = await publish(broker, model, 1)
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        async with await anext(deliveries):
            raise InvalidMessage("not understood")
    assert not await broker.replay("unknown")

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await broker.replay(message_id):
            await asyncio.sleep(0.05)

    [delivery] = await receive(broker, model, 1)
    assert message_id == delivery.message_id
    assert not await broker.replay(message_id)


async def test_prefetch_bounds_unsettled_deliveries(broker: Broker) -> None:
    """With as many deliveries unsettled as `prefetch` allows, the next one waits for a settlement."""
    model = new_model()
    await publish(broker, model, 3)
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, 2)) as deliveries:
        first, second = await anext(deliveries), await anext(deliveries)
        third = asyncio.ensure_future(anext(deliveries))
        done, _ = await asyncio.wait((third,), timeout=0.5)
        assert not done
        await first.settle(Settlement.ACK)
        for delivery in (second, await third):
            await delivery.settle(Settlement.ACK)


async def test_consumers_share_a_queue(broker: Broker, open_broker: OpenBroker) -> None:
    """Of two brokers' consumers, each message reaches exactly one."""
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
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(received) < len(published):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)  # the poll of an embedded consumer: time for a second delivery to show up
        for task in consuming:
            task.cancel()
        await asyncio.wait(consuming)

    assert sorted(published) == sorted(received)


async def test_closed_consumer_returns_what_it_has_not_handed_out(broker: Broker) -> None:
    """After closing, messages not handed out are ready again, and the one handed out can still be acked."""
    model = new_model()
    first, *others = await publish(broker, model, 3)
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, 3)) as deliveries:
        delivery = await anext(deliveries)
    await await_depth(broker, model, 2)

    async with delivery:
        pass

    assert first == delivery.message_id
    assert others == [each.message_id for each in await receive(broker, model, 2)]
    await await_depth(broker, model, 0)


async def test_cancelled_pull_loses_no_message(broker: Broker) -> None:
    """However a pulling task is cancelled around the arrival of a message, the message is not lost."""
    model, published, received = new_model(), list[str](), list[str]()

    async def pull() -> None:
        async with aclosing(broker.consume(model, 1)) as deliveries:
            async with await anext(deliveries) as body:
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


async def test_closing_the_broker_requeues_what_is_unsettled(open_broker: OpenBroker) -> None:
    """A delivery in hand when its broker is closed is delivered again at once; settling it then does nothing."""
    model = new_model()
    async with open_broker() as before:
        [message_id] = await publish(before, model, 1)
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(before.consume(model, 1)) as deliveries:
            lost = await anext(deliveries)
    started = time.monotonic()

    async with open_broker() as after:
        async with asyncio.timeout(PATIENCE_SECONDS), aclosing(after.consume(model, 1)) as deliveries:
            again = await anext(deliveries)
            await lost.settle(Settlement.ACK)
            assert time.monotonic() - started < 5  # not only when a lease has run out
            assert (message_id, 1) == (again.message_id, again.deliveries)
            await again.settle(Settlement.REQUEUE)
        await await_depth(after, model, 1)


async def test_delivery_is_settled_once(broker: Broker) -> None:
    """Only the first settlement of a delivery counts."""
    model = new_model()
    await publish(broker, model, 1)
    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        delivery = await anext(deliveries)
        await delivery.settle(Settlement.REQUEUE)
        await delivery.settle(Settlement.ACK)

    [again] = await receive(broker, model, 1)
    assert (delivery.message_id, 1) == (again.message_id, again.deliveries)


async def test_open_broker_answers(broker: Broker) -> None:
    """A broker that can be used answers a ping by returning."""
    await broker.ping()
