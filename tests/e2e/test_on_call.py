"""The commands for operators on call, with and without a gateway: `studio job` and `studio erase`."""

import asyncio
import json
from pathlib import Path

import pytest

from services.cli.erase import Erased, run_erase
from services.common.backends import Backends, open_backends
from services.common.catalogue.files import load_catalogue
from services.common.ids import new_job_id
from services.common.manifests import Manifests
from services.common.schemas import JobMessage, StatusRecord
from services.common.settings import Settings
from tests.support.fakes import stored_image
from tests.support.messages import new_message, new_record
from tests.support.odd_entries import ODD_ENTRIES
from tests.support.operator import SECRET, erase, on_backends, studio, visitor
from tests.support.system import ROOT, System, running_system

pytest_plugins = ["tests.support.system_fixtures"]

PROMPT = "teapot of Ms Unmistakable"


def timeline(job: dict[str, object]) -> list[str]:
    record = job["record"]
    assert isinstance(record, dict)
    return [event["what"] for event in record["timeline"]]


def test_job_is_read_from_its_backends(system: System) -> None:
    """Without a running service `studio job` shows a finished job's owner, times and files, from record or manifest."""
    gateway, worker = system.start_gateway(secret_key=SECRET), system.start_worker()
    owner = visitor(system.client)
    job_id = system.wait(system.submit(PROMPT)["id"])["id"]
    for process in (gateway, worker):
        process.terminate()
        process.wait(30)
    system.environment["COLUMNS"] = "200"

    shown, told = studio(system, "job", job_id), json.loads(studio(system, "job", job_id, "--json").stdout)
    on_backends(system, lambda backends: backends.statuses.remove(job_id))
    archived = json.loads(studio(system, "job", job_id, "--json").stdout)

    assert (shown.returncode, told["source"], archived["source"]) == (0, "statuses", "manifest"), shown.stderr
    assert told["record"]["message"]["owner"] == owner
    assert timeline(told) == timeline(archived)
    assert [what for what in timeline(told) if what not in ("loading", "generating", "saving")] == [
        *("published", "begun", "succeeded")
    ]
    for text in (owner, PROMPT, "succeeded", "published", told["record"]["artifacts"][0]["key"]):
        assert text in shown.stdout


def test_job_that_is_not_there(system: System) -> None:
    """`studio job` exits with 2 for an unknown id, and shows when a job was removed or how many jobs wait."""
    system.start_gateway()
    removed, waiting = system.submit("one")["id"], system.submit("two")["id"]
    assert system.client.delete(f"/v1/jobs/{removed}").status_code == 204

    assert studio(system, "job", "../nonsense").returncode == 2
    assert json.loads(studio(system, "job", removed, "--json").stdout)["removed_at"] > 0
    assert json.loads(studio(system, "job", waiting, "--json").stdout)["waiting"] >= 1


def test_everything_of_an_owner_is_erased(system: System) -> None:
    """`studio erase` deletes an owner's jobs with and without a record, failed and queued ones, and no other job."""
    gateway, worker = system.start_gateway(secret_key=SECRET), system.start_worker()
    others, foreign = system.submit("another visitor's"), sent_in(system)
    owner = visitor(system.client)
    own = sent_in(system)
    jobs = [
        system.submit(f"{prompt}{PROMPT}", key=prompt.strip() or "mine")["id"] for prompt in ("", "archived ", "FAIL ")
    ]
    for job_id in (*jobs, others["id"]):
        system.wait(job_id)
    on_backends(system, lambda backends: backends.statuses.remove(jobs[1]))
    bad = on_backends(system, lambda backends: publish_bad(backends, jobs[0]))
    system.wait(bad.job_id)
    worker.terminate()
    worker.wait(30)
    jobs.append(system.submit(f"waiting {PROMPT}")["id"])

    report, again = erase(system, owner), erase(system, owner)
    assert report == {**again, "jobs": 5, "live": 1, "inputs": 1, "dead_letters": 1}
    assert (again["jobs"], again["live"], again["inputs"], again["unknown"]) == (0, 0, 0, 0)
    assert [system.client.get(f"/v1/inputs/{each}").status_code for each in (own, foreign)] == [404, 200]
    assert [system.client.get(f"/v1/jobs/{job_id}").status_code for job_id in jobs] == [410] * 4
    assert system.client.get("/v1/jobs").json()["data"] == []
    assert system.submit(PROMPT, key="mine")["id"] not in jobs  # the key went with its job
    erase(system, owner)
    system.client.cookies.clear()

    worker = system.start_worker()
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert jobs[3] not in system.generation_counts()
    assert system.client.get(f"/v1/jobs/{others['id']}").json()["state"] == "succeeded"
    for process in (gateway, worker):
        process.terminate()
        process.wait(30)
    assert on_backends(system, lambda backends: traces(backends, jobs)) == []
    left = on_backends(system, lambda backends: backends.objects.list("inputs/"))
    assert [key for key in left if own in key] == []
    assert PROMPT not in system.log()
    assert [file for file in system.folder.rglob("*") if file.is_file() and PROMPT.encode() in file.read_bytes()] == []


def sent_in(system: System) -> str:
    """Send in a picture, and return its id."""
    answer = system.client.post("/v1/inputs", content=stored_image(), timeout=30)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def publish_bad(backends: Backends, like: str) -> JobMessage:
    """Publish a job of the same owner that no worker understands, so that it becomes a dead letter."""
    message = (await backends.statuses.get(like)).message
    job_id, params = new_job_id(), {**message.params, "steps": "many"}
    bad = message.model_copy(update={"message_id": job_id, "job_id": job_id, "params": params})
    await backends.statuses.create(StatusRecord(job_id=job_id, message=bad, published=True))
    await backends.broker.publish(bad)
    return bad


async def traces(backends: Backends, jobs: list[str]) -> list[str]:
    """Return the keys of these jobs in the object store, beside their tombstones."""
    left: list[str] = []
    for job_id in jobs:
        assert await Manifests(backends.objects).removed_at(job_id)
        left += await backends.objects.list(f"jobs/{job_id}/")
    return left


def test_erasing_an_empty_name(system: System) -> None:
    """`studio erase` refuses an empty owner, which stands for many programs."""
    assert studio(system, "erase", "--owner", " ").returncode == 2


async def made_for(backends: Backends, owner: str, count: int = 1) -> list[str]:
    """Store finished jobs of this owner, as gateway and worker do."""
    job_ids = []
    for _ in range(count):
        record = await backends.statuses.create(new_record(new_message(owner=owner)))
        await backends.statuses.request_cancel(record.job_id)
        await Manifests(backends.objects).write(await backends.statuses.get(record.job_id))
        job_ids.append(record.job_id)
    return job_ids


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("alice", "key:alice"),
        ("KEY:Alice", "key:alice"),
        ("key:alcie", "key:alice"),
        ("visitor:alice", "key:alice"),
        ("0b5c4", "visitor:0b5c4f7e"),
    ],
)
def test_owner_that_is_not_there_names_those_like_it(system: System, given: str, meant: str) -> None:
    """`studio erase` of an owner without any job exits with 1, erases nothing, and names the owners meant perhaps."""
    on_backends(system, lambda backends: made_for(backends, "key:alice"))
    on_backends(system, lambda backends: made_for(backends, "visitor:0b5c4f7e"))
    on_backends(system, lambda backends: made_for(backends, "key:zoe"))

    done = studio(system, "erase", "--owner", given)

    assert done.returncode == 1, done.stdout + done.stderr
    assert f"studio erase --owner {meant}" in done.stderr
    assert "key:zoe" not in done.stderr
    assert "erased 0 jobs" not in done.stdout
    assert erase(system, meant)["jobs"] >= 1  # servers are shared with other tests
    assert erase(system, meant)["jobs"] == 0  # an owner all of whose jobs are gone is still known


def test_owner_that_nothing_is_like(system: System) -> None:
    """An owner that is like no other exits with 1, and says how to find out the name."""
    on_backends(system, lambda backends: made_for(backends, "key:alice"))
    done = studio(system, "erase", "--owner", "quartz", "--json")
    assert (done.returncode, json.loads(done.stdout)["jobs"]) == (1, 0)
    assert "studio job ID" in done.stderr


def test_key_without_jobs_is_named(system: System) -> None:
    """A key that made no job yet is an owner, too: its name is known, and there is nothing to erase."""
    system.environment["STUDIO_KEYS"] = f"newcomer:user:{'0' * 64}"
    assert erase(system, "key:newcomer")["jobs"] == 0
    done = studio(system, "erase", "--owner", "newcomer")
    assert (done.returncode, "--owner key:newcomer" in done.stderr) == (1, True)


@pytest.mark.parametrize("odd", ODD_ENTRIES)
def test_odd_entries_stop_no_erasure(odd: str, tmp_path: Path) -> None:
    """With odd entries in every folder all jobs of the owner go, and their folders with them."""
    with running_system(tmp_path, {}) as system:
        jobs = on_backends(system, lambda backends: made_for(backends, "key:alice", 2))
        folder = tmp_path / "objects"
        for within in (folder, folder / "jobs", folder / "removed", *(folder / "jobs" / job_id for job_id in jobs)):
            within.mkdir(exist_ok=True)
            ODD_ENTRIES[odd](within)

        assert erase(system, "key:alice")["jobs"] == 2

        assert [job_id for job_id in jobs if (folder / "jobs" / job_id).exists()] == []


@pytest.mark.parametrize("fault", ["tombstone", "manifest", "copied manifest"])
def test_one_bad_job_stops_no_erasure(fault: str, tmp_path: Path) -> None:
    """A job that cannot be erased is named with exit code 1, or counted as unknown; the others are erased."""
    with running_system(tmp_path, {}) as system:
        bad, *others = on_backends(system, lambda backends: made_for(backends, "key:alice", 3))
        manifest = tmp_path / "objects" / "jobs" / bad / "manifest.json"
        if fault == "tombstone":
            (tmp_path / "objects" / "removed" / f"{bad}.json").mkdir(parents=True)
        else:
            on_backends(system, lambda backends: backends.statuses.remove(bad))
            text = manifest.read_text().replace(bad, others[0])
            manifest.write_text("{" if fault == "manifest" else text)

        done = studio(system, "erase", "--owner", "key:alice", "--json")

        report = json.loads(done.stdout)
        assert report["jobs"] == 2
        assert not any((tmp_path / "objects" / "jobs" / job_id).exists() for job_id in others)
        assert manifest.exists()
        if fault == "tombstone":
            assert (done.returncode, report["failed"], bad in done.stderr) == (1, 1, True)
        else:
            assert (done.returncode, report["unknown"]) == (0, 1)


def test_keys_that_cannot_be_read_stop_no_erasure(tmp_path: Path) -> None:
    """Erasing needs no keys: a file of keys that is not there keeps it neither from its work nor from its advice."""
    settings = Settings(data_dir=tmp_path, keys_file=Path("/nowhere/keys"))
    catalogue = load_catalogue(ROOT / "models" / "models.toml", ROOT / "models" / "styles.toml")

    async def erased(*owners: str) -> list[Erased]:
        async with open_backends(settings) as backends:
            await made_for(backends, "key:alice", 2)
        return [await run_erase(settings, catalogue, owner, lambda _: None) for owner in owners]

    nobody, alice = asyncio.run(erased("alice", "key:alice"))
    assert (nobody.owner_unknown, nobody.alike) == (True, ["key:alice"])
    assert len(alice.jobs) == 2
