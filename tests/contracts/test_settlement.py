"""Every broker, embedded or distributed, keeps its promises about deliveries and their settlement."""

import asyncio
import time
from contextlib import aclosing

import pytest

from services.common.brokers.delivery import Settlement
from services.common.errors import HandedBack
from services.common.ports import Broker
from services.common.schemas import JobMessage
from tests.contracts.conftest import OpenBroker
from tests.support.deliveries import DEADLINE_SECONDS, await_depth, publish, receive, reject
from tests.support.messages import new_model

pytestmark = pytest.mark.anyio


async def test_failed_delivery_comes_back_first_and_is_counted(broker: Broker) -> None:
    """A message whose handling raised is delivered again, before later ones, with its earlier delivery counted."""
    model = new_model()
    first, second = await publish(broker, model, 2)
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        with pytest.raises(RuntimeError, match="handling"):
            async with await anext(deliveries):
                raise RuntimeError("handling")

    again = await receive(broker, model, 2)

    assert [first, second] == [delivery.message_id for delivery in again]
    assert again[0].deliveries >= 1  # RabbitMQ counts a message it sent ahead and got back unseen, too


async def test_message_handed_back_is_counted(broker: Broker) -> None:
    """A message that may be at fault is delivered again and counted, so that a worker handles it alone."""
    model = new_model()
    [message_id] = await publish(broker, model, 1)
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        delivery = await anext(deliveries)
        assert delivery.deliveries == 0
        async with delivery:
            raise HandedBack

    [again] = await receive(broker, model, 1)
    assert message_id == again.message_id
    assert again.deliveries >= 1  # as above


async def test_cancelled_delivery_comes_back(broker: Broker) -> None:
    """A message whose handling was cancelled is delivered again."""
    model = new_model()
    [message_id] = await publish(broker, model, 1)
    in_hand = asyncio.Event()

    async def handle() -> None:
        async with aclosing(broker.consume(model, 1)) as deliveries, await anext(deliveries):
            in_hand.set()
            await asyncio.sleep(DEADLINE_SECONDS)

    handling = asyncio.create_task(handle())
    await asyncio.wait_for(in_hand.wait(), DEADLINE_SECONDS)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling

    [again] = await receive(broker, model, 1)
    assert message_id == again.message_id
    assert again.deliveries >= 1


async def test_invalid_message_becomes_a_dead_letter(broker: Broker) -> None:
    """A message not understood leaves its queue; dead letters are counted, and listed oldest first."""
    model = new_model()
    published = await publish(broker, model, 3)
    before, dead = time.time(), await broker.dead_letter_count()
    await reject(broker, model, 2)
    await receive(broker, model, 1)

    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(letters := [letter for letter in await broker.dead_letters(1000) if letter.model == model]) < 2:
            await asyncio.sleep(0.05)

    assert published[:2] == [letter.message_id for letter in letters]
    assert published[0] == JobMessage.decode(letters[0].body).message_id
    assert before - 2 <= letters[0].died_at <= letters[1].died_at <= time.time() + 2
    assert len(await broker.dead_letters(1)) == 1
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await broker.dead_letter_count() != dead + 2:
            await asyncio.sleep(0.02)
    await await_depth(broker, model, 0)


async def test_dead_letters_are_seen_by_everybody(broker: Broker) -> None:
    """Concurrent readers, and a reader after one that was cancelled, see all dead letters."""
    model = new_model()
    published = await publish(broker, model, 20)
    await reject(broker, model, 20)

    async def seen() -> list[str]:
        return [letter.message_id for letter in await broker.dead_letters(1000) if letter.model == model]

    async with asyncio.timeout(DEADLINE_SECONDS):
        while await seen() != published:
            await asyncio.sleep(0.05)
    impatient = asyncio.create_task(seen())
    await asyncio.sleep(0.01)
    impatient.cancel()
    assert list(await asyncio.gather(seen(), seen(), seen())) == [published] * 3


async def test_replayed_dead_letter_is_delivered_once(broker: Broker) -> None:
    """Replaying moves a dead letter back to its queue; there is nothing left to replay then."""
    model = new_model()
    [message_id] = await publish(broker, model, 1)
    await reject(broker, model)
    assert not await broker.replay("unknown")

    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await broker.replay(message_id):
            await asyncio.sleep(0.05)

    [delivery] = await receive(broker, model, 1)
    assert message_id == delivery.message_id
    assert not await broker.replay(message_id)


async def test_dropped_dead_letter_is_gone(broker: Broker) -> None:
    """Dropping forgets this dead letter and no other; there is nothing left to drop or to replay then."""
    model = new_model()
    dropped, kept = await publish(broker, model, 2)
    await reject(broker, model, 2)
    assert not await broker.drop("unknown")

    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await broker.drop(dropped):
            await asyncio.sleep(0.05)

    assert not await broker.drop(dropped)
    assert not await broker.replay(dropped)
    await await_depth(broker, model, 0)
    async with asyncio.timeout(DEADLINE_SECONDS):
        while [kept] != [each.message_id for each in await broker.dead_letters(1000) if each.model == model]:
            await asyncio.sleep(0.05)


async def test_prefetch_bounds_unsettled_deliveries(broker: Broker) -> None:
    """With as many deliveries unsettled as `prefetch` allows, the next one waits for a settlement."""
    model = new_model()
    await publish(broker, model, 3)
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 2)) as deliveries:
        first, second = await anext(deliveries), await anext(deliveries)
        third = asyncio.ensure_future(anext(deliveries))
        done, _ = await asyncio.wait((third,), timeout=0.5)
        assert not done
        await first.settle(Settlement.ACK)
        for delivery in (second, await third):
            await delivery.settle(Settlement.ACK)


async def test_closed_consumer_returns_what_it_has_not_handed_out(broker: Broker) -> None:
    """After closing, messages not handed out are ready again, and the one handed out can still be acked."""
    model = new_model()
    first, *others = await publish(broker, model, 3)
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 3)) as deliveries:
        delivery = await anext(deliveries)
    await await_depth(broker, model, 2)

    async with delivery:
        pass

    assert first == delivery.message_id
    assert others == [each.message_id for each in await receive(broker, model, 2)]
    await await_depth(broker, model, 0)


async def test_closing_the_broker_requeues_what_is_unsettled(open_broker: OpenBroker) -> None:
    """A delivery in hand when its broker is closed is delivered again at once; settling it then does nothing."""
    model = new_model()
    async with open_broker() as before:
        [message_id] = await publish(before, model, 1)
        async with asyncio.timeout(DEADLINE_SECONDS), aclosing(before.consume(model, 1)) as deliveries:
            lost = await anext(deliveries)
    started = time.monotonic()

    async with open_broker() as after:
        async with asyncio.timeout(DEADLINE_SECONDS), aclosing(after.consume(model, 1)) as deliveries:
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
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(broker.consume(model, 1)) as deliveries:
        delivery = await anext(deliveries)
        await delivery.settle(Settlement.REQUEUE)
        await delivery.settle(Settlement.ACK)

    [again] = await receive(broker, model, 1)
    assert delivery.message_id == again.message_id
    assert again.deliveries >= 1
