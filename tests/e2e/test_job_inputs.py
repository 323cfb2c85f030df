"""Jobs that are made from files: the file reaches the model byte for byte, or the job says that it is gone."""

import base64
import json
from typing import Any

import pytest

from tests.support.models.scripted_adapter import pixels_of
from tests.support.models.scripted_edit_adapter import edited_pixels, offer_edits
from tests.support.operator import on_backends, studio
from tests.support.picture_files import encoded, picture
from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]

PNG = encoded(picture())


@pytest.fixture
def editor(system: System) -> System:
    """A system whose model takes a picture."""
    offer_edits(system)
    return system


def sent_in(system: System, data: bytes = PNG) -> dict[str, Any]:
    answer = system.client.post("/v1/inputs", content=data, timeout=30)
    assert answer.status_code == 201, answer.text + system.log()[-4000:]
    view: dict[str, Any] = answer.json()
    return view


def test_picture_reaches_the_model(editor: System) -> None:
    """A job gets the very bytes that are kept of its file, by id or as a data URL, and again after a second ask."""
    editor.start_gateway()
    editor.start_worker()
    view = sent_in(editor)
    kept = editor.client.get(view["links"]["file"]).content
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"

    for given in (view["id"], url, view["id"]):
        job = editor.wait(editor.submit("mug", seed=3, image=given)["id"])
        assert job["state"] == "succeeded", job
        made = editor.client.get(job["artifacts"][0]["url"]).content
        assert pixels_of(made) == edited_pixels("mug", 3, view["sha256"])
        again = editor.client.get(f"/v1/inputs/{job['params']['image']}/file")
        assert again.content == kept  # both were encoded alike
    assert url[30:60] not in editor.log()


def test_file_is_gone(editor: System) -> None:
    """A job whose file was deleted, or changed in the object store, ends `input-missing`; the others go on."""
    editor.start_gateway()
    gone, changed, kept = (sent_in(editor) for _ in range(3))
    jobs = [editor.submit("mug", seed=1, image=each["id"])["id"] for each in (gone, changed, kept)]
    assert editor.client.delete(gone["links"]["self"]).status_code == 204

    async def change(backends: Any) -> None:
        [key] = [key for key in await backends.objects.list("inputs/") if key.endswith(f"{changed['id']}.png")]
        await backends.objects.put(key, b"another", "image/png")

    on_backends(editor, change)
    editor.start_worker()

    ended = [editor.wait(job) for job in jobs]
    assert [job["state"] for job in ended] == ["failed", "failed", "succeeded"]
    for job in ended[:2]:
        assert (job["error"]["code"], job["error"]["retryable"]) == ("input-missing", False)
    assert set(editor.generation_counts()) == {jobs[2]}


def test_removal(editor: System) -> None:
    """With its job goes a file that came inside of it; one that was sent in stays for the next job, until it ends."""
    editor.start_gateway()
    editor.start_worker()
    view = sent_in(editor)
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    named, inline = (editor.wait(editor.submit("mug", image=given)["id"]) for given in (view["id"], url))

    for job in (named, inline):
        assert editor.client.delete(f"/v1/jobs/{job['id']}").status_code == 204

    assert editor.client.get(view["links"]["self"]).status_code == 200
    assert editor.client.get(f"/v1/inputs/{inline['params']['image']}").status_code == 404
    keys = on_backends(editor, lambda backends: backends.objects.list("inputs/"))
    assert len([key for key in keys if view["id"] in key]) == 2  # no hold of its job is left
    assert [key for key in keys if inline["params"]["image"] in key] == []


def test_command_sends_its_file(editor: System) -> None:
    """`studio generate --image` sends the file in first, and says so plainly where there is none."""
    editor.start_gateway()
    editor.start_worker()
    file = editor.folder / "cup of tea.png"
    file.write_bytes(PNG)

    done = studio(editor, "generate", "mug", "--image", str(file), "--seed", "5", "--json", "-o", "made.png")
    missing = studio(editor, "generate", "mug", "--image", "none.png")
    no_picture = studio(editor, "generate", "mug", "--image", str(editor.folder / "models.toml"))

    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    view = editor.client.get(f"/v1/inputs/{job['params']['image']}").json()
    assert pixels_of((editor.folder / "made.png").read_bytes()) == edited_pixels("mug", 5, view["sha256"])
    assert (missing.returncode, no_picture.returncode) == (2, 2)
    assert "none.png" in missing.stderr
    assert "known picture" in no_picture.stderr
