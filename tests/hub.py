"""hub: a small Hugging Face hub on 127.0.0.1: the file tree of a revision, and its files.   {path:
bytes} -> HF_ENDPOINT"""

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """One model repository at one revision, served while the `with` block lasts.

    endpoint  what HF_ENDPOINT is set to
    asked     method and path of each request so far

    Speaks what snapshot_download of huggingface_hub 2.4 asks for a full commit hash: the tree, and
    HEAD and GET of a file. Left out: the request that resolves a branch, pages of a long tree,
    redirects to a CDN, Xet.
    """

    def __init__(self, repo: str, revision: str, files: Mapping[str, bytes]) -> None:
        self.repo, self.revision, self.files = repo, revision, dict(files)
        self.asked: list[tuple[str, str]] = []

    @property
    def endpoint(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Hub":
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self})
        )
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def tree(self) -> list[dict[str, str | int]]:
        """Entries of the files and of their folders, as /api/models/{repo}/tree/{revision} gives
        them."""
        folders = {path.rpartition("/")[0] for path in self.files} - {""}
        return [
            {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
            for path in sorted(folders)
        ] + [
            {"type": "file", "path": path, "oid": oid(content), "size": len(content)}
            for path, content in self.files.items()
        ]


def oid(content: bytes) -> str:
    """The name that git gives to a file's content; a hub sends it as the ETag."""
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        hub.asked.append((self.command, path))
        tree, files = f"/api/models/{hub.repo}/tree/", f"/{hub.repo}/resolve/"
        prefix = next((p for p in (tree, files) if path.startswith(p)), None)
        if prefix is None:
            return self._send(404, b"Repository not found", {"X-Error-Code": "RepoNotFound"})
        revision, _, name = path.removeprefix(prefix).partition("/")
        if revision != hub.revision:
            return self._send(404, b"Invalid rev id", {"X-Error-Code": "RevisionNotFound"})
        if prefix == tree:
            return self._send(
                200, json.dumps(hub.tree()).encode(), {"Content-Type": "application/json"}
            )
        if name not in hub.files:
            return self._send(404, b"Entry not found", {"X-Error-Code": "EntryNotFound"})
        return self._send(
            200, hub.files[name], {"ETag": f'"{oid(hub.files[name])}"', "X-Repo-Commit": revision}
        )

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
