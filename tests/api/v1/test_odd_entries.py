"""Foreign entries in the folder of the object store stop no walk: DELETE, the sweeper, readiness."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from asgi_lifespan import LifespanManager

from services.api.app import create_app
from services.api.core.metrics import Metrics
from services.api.core.sweeper import Sweeper
from services.common.backends import Backends, open_backends
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import BackendUnavailable
from services.common.ids import new_job_id
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome
from services.common.schemas import State
from services.common.settings import Settings
from tests.api.conftest import embedded_settings
from tests.api.v1.test_jobs import submit
from tests.support.api_keys import LINES, bearer
from tests.support.fakes import FakeWorker
from tests.support.messages import new_message, new_record
from tests.support.odd_entries import ODD_ENTRIES

pytestmark = pytest.mark.anyio

IMAGE = b"\x89PNG"
SOON_SECONDS = 10.0


def jobs(tmp_path: Path) -> Path:
    return tmp_path / "objects" / "jobs"


@pytest.mark.parametrize("odd", ODD_ENTRIES)
async def test_odd_entry_goes_with_its_job(
    client: httpx2.AsyncClient, worker: FakeWorker, tmp_path: Path, odd: str
) -> None:
    """DELETE removes a job's whole folder, whatever lies in it; the neighbours of the folder stay."""
    gone, kept = await submit(client), await submit(client)
    for job_id in (gone, kept):
        await worker.succeed(job_id, IMAGE)
    ODD_ENTRIES[odd](jobs(tmp_path) / gone)
    ODD_ENTRIES[odd](jobs(tmp_path))

    answer = await client.delete(f"/v1/jobs/{gone}")

    assert answer.status_code == 204, answer.text
    assert (await client.get(f"/v1/jobs/{gone}")).status_code == 410
    assert not (jobs(tmp_path) / gone).exists()
    assert (await client.get(f"/v1/jobs/{kept}/artifacts/0")).content == IMAGE


@pytest.mark.parametrize("damage", [b"", b"{", b"no JSON"])
@pytest.mark.parametrize("recorded", [True, False])
async def test_damaged_manifest_keeps_no_job(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends, tmp_path: Path, damage: bytes, *, recorded: bool
) -> None:
    """A job whose manifest cannot be read is removed all the same, whether the status store knows it or not."""
    job_id = await submit(client)
    await worker.succeed(job_id, IMAGE)
    (jobs(tmp_path) / job_id / "manifest.json").write_bytes(damage)
    if not recorded:
        await backends.statuses.remove(job_id)
        assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 503

    assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 204
    assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 410
    assert not (jobs(tmp_path) / job_id).exists()


async def test_links_are_not_followed(client: httpx2.AsyncClient, worker: FakeWorker, tmp_path: Path) -> None:
    """Deleting a job deletes links in its folder, and nothing at their other end."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo.png").write_bytes(b"mine")
    inside, instead = await submit(client), await submit(client)
    for job_id in (inside, instead):
        await worker.succeed(job_id, IMAGE)
    (jobs(tmp_path) / inside / "linked").symlink_to(precious)
    (jobs(tmp_path) / instead).rename(tmp_path / "elsewhere")
    (jobs(tmp_path) / instead).symlink_to(precious)

    for job_id in (inside, instead):
        assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 204
        assert not (jobs(tmp_path) / job_id).is_symlink()

    assert (precious / "photo.png").read_bytes() == b"mine"


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_damaged_manifest_is_an_operators_to_remove(client: httpx2.AsyncClient, tmp_path: Path) -> None:
    """With keys nobody knows whose job it was, so the key of an operator removes it, and no other."""
    job_id = new_job_id()
    manifest = jobs(tmp_path) / job_id / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_bytes(b"{")
    assert (await client.delete(f"/v1/jobs/{job_id}", headers=bearer("alice"))).status_code == 503
    assert manifest.exists()
    assert (await client.delete(f"/v1/jobs/{job_id}", headers=bearer("olga"))).status_code == 204
    assert not manifest.parent.exists()


@pytest.fixture
def often(tmp_path: Path) -> Settings:
    """Settings of a gateway that sweeps all the time."""
    return embedded_settings(tmp_path, sweep_seconds=0.05)


@asynccontextmanager
async def gateway(settings: Settings, catalogue: Catalogue) -> AsyncIterator[httpx2.AsyncClient]:
    async with LifespanManager(create_app(settings, catalogue)) as manager:
        transport = httpx2.ASGITransport(manager.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://studio.test") as client:
            yield client


async def removals_cut_short(settings: Settings, count: int) -> list[str]:
    """Store finished jobs whose removals were cut short after their tombstones; return their ids."""
    job_ids = []
    async with open_backends(settings) as backends:
        manifests = Manifests(backends.objects)
        for _ in range(count):
            record = await backends.statuses.create(new_record(new_message()))
            await backends.statuses.finish(Lease.of_gateway(record.job_id), Outcome(State.FAILED))
            await manifests.write(await backends.statuses.get(record.job_id))
            await manifests.bury(record.job_id, record.message.owner)
            job_ids.append(record.job_id)
    return job_ids


async def until_gone(*folders: Path) -> None:
    async with asyncio.timeout(SOON_SECONDS):
        while any(folder.exists() for folder in folders):
            await asyncio.sleep(0.02)


async def until_ready(client: httpx2.AsyncClient, status: int) -> httpx2.Response:
    """Ask for readiness until it is answered with this status."""
    async with asyncio.timeout(SOON_SECONDS):
        while (answer := await client.get("/readyz")).status_code != status:
            await asyncio.sleep(0.02)
    return answer


@pytest.mark.parametrize("odd", ODD_ENTRIES)
async def test_odd_entry_keeps_no_removal_from_its_end(
    often: Settings, catalogue: Catalogue, tmp_path: Path, odd: str
) -> None:
    """A gateway that starts completes every removal, with odd entries in each folder, and is ready."""
    (job_id,) = await removals_cut_short(often, 1)
    for folder in (jobs(tmp_path) / job_id, jobs(tmp_path), tmp_path / "objects" / "removed"):
        ODD_ENTRIES[odd](folder)
    async with gateway(often, catalogue) as client:
        await until_gone(jobs(tmp_path) / job_id)
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get(f"/v1/jobs/{job_id}")).status_code == 410


@pytest.mark.parametrize("fault", ["folder in its place", "copy of another", "empty", "newer", "not to be deleted"])
async def test_one_bad_removal_keeps_no_other_from_its_end(
    often: Settings, catalogue: Catalogue, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One tombstone or job folder that cannot be dealt with is left out; the sweeper goes on and counts as well."""
    bad, *others = await removals_cut_short(often, 3)
    tombstone = tmp_path / "objects" / "removed" / f"{bad}.json"
    match fault:
        case "folder in its place":
            tombstone.unlink()
            tombstone.mkdir()
        case "copy of another":
            tombstone.write_text(tombstone.read_text().replace(bad, new_job_id()))
        case "empty":
            tombstone.write_bytes(b"")
        case "newer":
            tombstone.write_text('{"schema_version": 99}')
        case _:
            _refuse_to_clear(bad, monkeypatch)

    async with gateway(often, catalogue) as client:
        await until_gone(*(jobs(tmp_path) / job_id for job_id in others))
        assert (await client.get("/readyz")).status_code == 200
        stays = fault in ("folder in its place", "newer", "not to be deleted")
        if not stays:
            await until_gone(jobs(tmp_path) / bad)
        assert (jobs(tmp_path) / bad).exists() == stays


def _refuse_to_clear(job_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clear = Manifests.clear

    async def refuse(self: Manifests, other: str) -> None:
        if other == job_id:
            raise BackendUnavailable("objects", "Input/output error")
        await clear(self, other)

    monkeypatch.setattr(Manifests, "clear", refuse)


@pytest.mark.parametrize("fault", [ZeroDivisionError("a defect"), BackendUnavailable("objects", "not this listing")])
async def test_failing_sweeper_is_seen(
    often: Settings, catalogue: Catalogue, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweeper that fails although the backends answer makes the gateway not ready, by name, until it sweeps again."""
    outcomes: list[str] = []
    monkeypatch.setattr(Metrics, "swept", lambda _self, outcome, _left_out: outcomes.append(outcome))

    async def fail(_self: Sweeper) -> None:
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(Sweeper, "_sweep_removals", fail)
        async with gateway(often, catalogue) as client:
            problem = (await until_ready(client, 503)).json()
            assert problem["not_ready"] == ["sweeper"]
            assert set(problem["dependencies"].values()) == {"ready"}
            assert set(outcomes) == {"failed"}
            broken.undo()
            await until_ready(client, 200)
            assert outcomes[-1] == "done"


async def test_backend_that_is_away_is_not_the_sweepers_fault(
    often: Settings, catalogue: Catalogue, tmp_path: Path
) -> None:
    """While the object store is away readiness names it alone, and is back at once with it."""
    partial, away = tmp_path / "objects" / ".partial", tmp_path / "away"
    async with gateway(often, catalogue) as client:
        partial.rename(away)
        assert (await until_ready(client, 503)).json()["not_ready"] == ["objects"]
        await asyncio.sleep(0.5)  # for some sweeps
        assert (await client.get("/readyz")).json()["not_ready"] == ["objects"]
        away.rename(partial)
        assert (await client.get("/readyz")).status_code == 200
