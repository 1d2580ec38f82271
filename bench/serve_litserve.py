"""bench/serve_litserve: the graph of a bundle behind LitServe, a process for each processor.

    python bench/serve_litserve.py FOLDER PORT

One text at a time, since a batch changes the answers of others.
"""

import sys
from pathlib import Path
from typing import Any

import litserve
from serve_peers import CORES, Graph


class Api(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """LitServe starts processes that import this."""

    def setup(self, device: str) -> None:
        """In each process."""
        self.graph = Graph(Path(sys.argv[1]))

    def decode_request(self, request: dict[str, Any]) -> str:
        """Its text."""
        text: str = request["text"]
        return text

    def predict(self, text: str) -> dict[str, Any]:
        """Of one."""
        return self.graph.answer(text)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(api_path="/v1/classify"), accelerator="cpu", workers_per_device=CORES, timeout=60
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        generate_client_file=False,
        num_api_servers=1,
    )
