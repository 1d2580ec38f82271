"""page: what a browser gets at `/`: files of lmspec, which ask the endpoints and no one else."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ROOT, STATIC = "/", "/static/"
FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}


def routes() -> list[Route]:
    """The page, and each of its files by its name."""
    files = {STATIC + path.name: path for path in sorted(FOLDER.iterdir()) if path.suffix in TYPES}
    return [file(path, name) for path, name in ((ROOT, FOLDER / "index.html"), *files.items())]


def file(path: str, source: Path) -> Route:
    """A path that gives a file, as it was when the service started."""
    content, kind = source.read_bytes(), TYPES[source.suffix]

    async def given(request: Request) -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return Route(path, given)
