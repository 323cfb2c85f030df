"""The stylesheets, scripts and images of the pages: the URL of each changes with its content."""

import hashlib
from pathlib import Path

import structlog
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOREVER = "public, max-age=31536000, immutable"

log = structlog.get_logger(__name__)


class Assets(StaticFiles):
    """Serves the files. Browsers may keep the URL of the present content forever; they ask again for any other."""

    def __init__(self, folder: Path, base_path: str) -> None:
        super().__init__(directory=folder)
        self._base = base_path
        self._versions = _versions(folder)

    def url(self, name: str) -> str:
        """Return the URL of a file. Raises KeyError for one that does not exist, so that no template can name it."""
        return f"{self._base}/static/{name}?v={self._versions[name]}"

    def example_image(self, style: str) -> str | None:
        """Return the URL of a look's example image; None for a look without one."""
        name = f"styles/{style}.webp"
        return self.url(name) if name in self._versions else None

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        version = self._versions.get(path)
        current = version is not None and scope["query_string"] == f"v={version}".encode()
        response.headers["Cache-Control"] = FOREVER if current else "no-cache"
        return response


def _versions(folder: Path) -> dict[str, str]:
    """Return a digest of every file by its name. One that cannot be read is logged and left out."""
    versions: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file():
                versions[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        except OSError as exc:
            log.warning("asset left out", file=ascii(path.name), reason=str(exc))
    return versions
