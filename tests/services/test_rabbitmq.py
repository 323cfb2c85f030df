"""RabbitMQ alone has real crashes, hangs, policies, and queues that others delete."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing, contextmanager, suppress

import aio_pika
import pytest

from services.common.brokers.rabbitmq import RabbitMQBroker, open_rabbitmq_broker
from services.common.errors import BackendRefused, BackendUnavailable, PublishUnconfirmed, QueueFull, Unroutable
from services.common.ports import Broker
from tests.support.messages import new_message, new_model
from tests.support.servers.rabbitmq import RabbitMQServer
from tests.support.servers.stack import Stack

pytestmark = [pytest.mark.anyio, pytest.mark.services]


@pytest.fixture
async def broker(stack: Stack) -> AsyncIterator[RabbitMQBroker]:
    async with open_rabbitmq_broker(stack.broker_url) as opened:
        yield opened


async def receive(broker: Broker, model: str, count: int) -> list[str]:
    """Return message ids in order of arrival, and ack the messages."""
    received: list[str] = []
    async with aclosing(broker.consume(model, prefetch=1)) as deliveries:
        async for delivery in deliveries:
            async with delivery:
                received.append(delivery.message_id)
            if len(received) == count:
                break
    return received


async def publish_patiently(broker: Broker, model: str) -> str:
    """Publish the same message until the broker answers, as the gateway does."""
    message = new_message(model)
    async with asyncio.timeout(15):
        while True:
            try:
                await broker.publish(message)
            except BackendUnavailable:
                await asyncio.sleep(0.1)
            else:
                return message.message_id


async def declare(broker: Broker, stack: Stack, *models: str) -> None:
    """Declare queues, and wait until a crash cannot lose them."""
    for model in models:
        await broker.depth(model)
    await asyncio.to_thread(stack.rabbitmq.sync)


async def refused(expected: type[Exception], call: Awaitable[object]) -> None:
    """Check that the call raises within 3 s."""
    started = time.monotonic()
    with pytest.raises(expected):
        await call
    assert time.monotonic() - started < 3


@contextmanager
def paused(server: RabbitMQServer) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


async def test_broker_crash_keeps_messages_and_consumers(broker: RabbitMQBroker, stack: Stack) -> None:
    """After kill -9 and a restart the accepted messages are there and a waiting consumer gets new ones."""
    kept, served = new_model(), new_model()
    await declare(broker, stack, kept, served)
    before = [await publish_patiently(broker, kept) for _ in range(3)]
    waiting = asyncio.create_task(receive(broker, served, 1))
    await asyncio.sleep(0.3)

    stack.rabbitmq.kill()
    with pytest.raises(BackendUnavailable):
        await broker.publish(new_message(kept))
    await asyncio.to_thread(stack.rabbitmq.start)
    started = time.monotonic()
    after = await publish_patiently(broker, served)

    assert [after] == await asyncio.wait_for(waiting, 15)
    assert time.monotonic() - started < 15
    assert before == await asyncio.wait_for(receive(broker, kept, 3), 15)


async def test_graceful_restart_keeps_consumers(broker: RabbitMQBroker, stack: Stack) -> None:
    """A consumer survives `rabbitmqctl stop_app` and `start_app`."""
    model = new_model()
    waiting = asyncio.create_task(receive(broker, model, 1))
    await asyncio.sleep(0.3)

    await asyncio.to_thread(stack.rabbitmq.ctl, "stop_app")
    await asyncio.to_thread(stack.rabbitmq.ctl, "start_app")

    assert [await publish_patiently(broker, model)] == await asyncio.wait_for(waiting, 15)


async def test_deliveries_of_a_lost_connection_settle_to_nothing(broker: RabbitMQBroker, stack: Stack) -> None:
    """A message in hand while the broker restarts is delivered again, and settling the old delivery is harmless."""
    model = new_model()
    await declare(broker, stack, model)
    message_id = await publish_patiently(broker, model)
    async with aclosing(broker.consume(model, prefetch=1)) as deliveries:
        first = await anext(deliveries)
        stack.rabbitmq.kill()
        await asyncio.to_thread(stack.rabbitmq.start)
        async with first:
            pass
        async with asyncio.timeout(15):
            second = await anext(deliveries)
        async with second:
            pass

    assert (message_id, message_id) == (first.message_id, second.message_id)
    assert second.deliveries > first.deliveries == 0
    assert await broker.depth(model) == 0


async def test_hung_broker_is_answered_in_time(broker: RabbitMQBroker, stack: Stack) -> None:
    """While the broker is suspended every call raises within 3 s; it works again afterwards."""
    model = new_model()
    await broker.publish(new_message(model))

    with paused(stack.rabbitmq):
        await refused(PublishUnconfirmed, broker.publish(new_message(model)))
        await asyncio.gather(
            refused(BackendUnavailable, broker.publish(new_message(model))),
            refused(BackendUnavailable, broker.depth(model)),
            refused(BackendUnavailable, broker.ping()),
        )

    await publish_patiently(broker, model)


async def test_consumer_leaves_a_hung_broker(broker: RabbitMQBroker, stack: Stack) -> None:
    """Closing a consumer of a broker that does not answer takes seconds, not forever."""
    model = new_model()
    waiting = asyncio.create_task(receive(broker, model, 1))
    await asyncio.sleep(0.3)

    with paused(stack.rabbitmq):
        started = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert time.monotonic() - started < 8


async def test_full_queue_refuses(broker: RabbitMQBroker, stack: Stack) -> None:
    """Beyond the length of the policy a publish is refused, and nothing accepted is dropped."""
    model = new_model()
    policy = ("set_policy", "--priority", "9", "--apply-to", "queues", f"short-{model}")
    pattern = f"^studio\\.jobs\\.{model}$"
    await asyncio.to_thread(stack.rabbitmq.ctl, *policy, pattern, '{"max-length": 3}')
    accepted: list[str] = []

    async def publish_many() -> None:
        for _ in range(20):  # the limit may be overshot a little
            message = new_message(model)
            await broker.publish(message)
            accepted.append(message.message_id)

    with pytest.raises(QueueFull):
        await publish_many()

    assert 3 <= len(accepted) < 20
    assert accepted == await receive(broker, model, len(accepted))


async def test_full_queue_costs_few_connections(broker: RabbitMQBroker, stack: Stack) -> None:
    """A publisher whose messages are refused connects anew at most once a second."""
    model = new_model()
    policy = ("set_policy", "--priority", "9", "--apply-to", "queues", f"short-{model}")
    await asyncio.to_thread(stack.rabbitmq.ctl, *policy, f"^studio\\.jobs\\.{model}$", '{"max-length": 1}')
    refused_at: list[float] = []
    async with asyncio.timeout(30):
        while not refused_at or refused_at[-1] - refused_at[0] < 2.2:
            try:
                await broker.publish(new_message(model))
            except QueueFull:
                refused_at.append(time.monotonic())
    listed = await asyncio.to_thread(stack.rabbitmq.ctl, "list_connections", "client_properties")

    assert len(refused_at) > 20
    assert 2 <= listed.count('"studio publish"') <= 4  # the newest, and those that may still get answers


async def test_shipped_policies_apply(broker: RabbitMQBroker, stack: Stack) -> None:
    """The shipped definitions limit every queue of jobs."""
    model = new_model()
    await broker.publish(new_message(model))

    listed = await asyncio.to_thread(stack.rabbitmq.ctl, "list_queues", "name", "policy", "type")

    assert [f"studio.jobs.{model}", "studio-jobs", "quorum"] in [line.split() for line in listed.splitlines()]
    assert ["studio.dead", "studio-dead", "quorum"] in [line.split() for line in listed.splitlines()]


async def test_deleted_queue_is_unroutable_once(broker: RabbitMQBroker, stack: Stack) -> None:
    """A publish to a deleted queue is refused; the next publish makes the queue again."""
    model = new_model()
    await broker.publish(new_message(model))
    await asyncio.to_thread(stack.rabbitmq.ctl, "delete_queue", f"studio.jobs.{model}")
    assert await broker.depth(model) == 0
    await broker.publish(new_message(model))
    await asyncio.to_thread(stack.rabbitmq.ctl, "delete_queue", f"studio.jobs.{model}")

    with pytest.raises(Unroutable):
        await broker.publish(new_message(model))

    await broker.publish(new_message(model))
    assert await broker.depth(model) == 1


async def test_lost_consumer_is_told(broker: RabbitMQBroker, stack: Stack) -> None:
    """A consumer whose broker does not answer is not `consuming`, so the worker is not taken for ready."""
    model, consuming = new_model(), asyncio.Event()
    waiting = asyncio.ensure_future(anext(broker.consume(model, 1, consuming)))
    await asyncio.wait_for(consuming.wait(), 15)
    with paused(stack.rabbitmq):
        async with asyncio.timeout(20):
            while consuming.is_set():
                await asyncio.sleep(0.1)
    await asyncio.wait_for(consuming.wait(), 15)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_consumer_survives_deletion_of_its_queue(broker: RabbitMQBroker, stack: Stack) -> None:
    """A consumer that the server cancels subscribes again."""
    model = new_model()
    waiting = asyncio.create_task(receive(broker, model, 1))
    await asyncio.sleep(0.3)

    await asyncio.to_thread(stack.rabbitmq.ctl, "delete_queue", f"studio.jobs.{model}")
    await asyncio.sleep(1)  # RabbitMQ deletes a quorum queue in the background, and what is published meanwhile

    assert [await publish_patiently(broker, model)] == await asyncio.wait_for(waiting, 15)


async def test_unreachable_broker_is_named_at_open() -> None:
    """Opening a broker that is not there raises at once."""
    with pytest.raises(BackendUnavailable, match="broker"):
        async with open_rabbitmq_broker("amqp://studio:studio@127.0.0.1:1/"):
            pass


async def test_broker_with_an_alarm_is_not_ready(broker: RabbitMQBroker, stack: Stack) -> None:
    """While memory runs low RabbitMQ answers, and takes no message: a gateway is told so in time, a worker is not."""
    model = new_model()
    await broker.publish(new_message(model))
    await asyncio.to_thread(stack.rabbitmq.ctl, "set_vm_memory_high_watermark", "0.000001")
    try:
        async with asyncio.timeout(15):
            while True:
                started = time.monotonic()
                try:
                    await broker.ping(publishing=True)
                except BackendUnavailable as exc:
                    if cure := exc.cure:
                        break
                await asyncio.sleep(0.1)
        assert time.monotonic() - started < 2
        assert "rabbitmq-diagnostics alarms" in cure
        await broker.ping()
    finally:
        await asyncio.to_thread(stack.rabbitmq.ctl, "set_vm_memory_high_watermark", "0.4")
    async with asyncio.timeout(15):
        while True:
            with suppress(BackendUnavailable):
                await broker.ping(publishing=True)
                break
    await publish_patiently(broker, model)


async def test_probe_goes_to_no_queue(broker: RabbitMQBroker) -> None:
    """To ask for readiness leaves nothing in any queue."""
    model = new_model()
    await broker.depth(model)
    for _ in range(3):
        await broker.ping(publishing=True)
    assert await broker.depth(model) == 0


@pytest.mark.parametrize(
    ("was", "cure"),
    [
        ("studio:studio@", "change_password studio"),
        ("/%2F", "add_vhost nowhere"),
    ],
)
async def test_refused_broker_is_named_at_open(stack: Stack, was: str, cure: str) -> None:
    """A wrong password or virtual host is told with the command that sets it right."""
    url = stack.broker_url.replace(was, {"studio:studio@": "studio:wrong@", "/%2F": "/nowhere"}[was])
    with pytest.raises(BackendRefused) as caught:
        async with open_rabbitmq_broker(url):
            pass
    assert f"rabbitmqctl {cure}" in caught.value.cure
    assert "wrong@" not in str(caught.value)


async def test_queue_declared_otherwise_is_refused(broker: RabbitMQBroker, stack: Stack) -> None:
    """A queue that exists with other arguments ends a new consumer, and a submit, with the command that deletes it."""
    model = new_model()
    connection = await aio_pika.connect(stack.broker_url)
    async with connection:
        await (await connection.channel()).declare_queue(f"studio.jobs.{model}", durable=True)
        for call in (broker.depth(model), anext(broker.consume(model, 1))):
            with pytest.raises(BackendRefused) as caught:
                await call
            assert f"rabbitmqctl delete_queue -p / studio.jobs.{model}" in caught.value.cure


async def _ping_for_long(broker: Broker) -> None:
    """Ask for readiness until it fails."""
    async with asyncio.timeout(15):
        while True:
            await broker.ping(publishing=True)
            await asyncio.sleep(0.1)


async def test_lost_rights_are_not_ready(broker: RabbitMQBroker, stack: Stack) -> None:
    """A user that may not write any more is told the command that allows it, and is ready again after it."""
    model = new_model()
    await broker.publish(new_message(model))
    await asyncio.to_thread(stack.rabbitmq.ctl, "set_permissions", "studio", ".*", "^$", ".*")
    try:
        await broker._publishing.session.close()  # rights are kept with a channel for a while
        with pytest.raises(BackendRefused) as caught:
            await _ping_for_long(broker)
        assert "rabbitmqctl set_permissions -p / studio" in caught.value.cure
    finally:
        await asyncio.to_thread(stack.rabbitmq.ctl, "set_permissions", "studio", ".*", ".*", ".*")
    await publish_patiently(broker, model)
    await broker.ping(publishing=True)
