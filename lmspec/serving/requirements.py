"""requirements: the packages of the extra `serve`."""

from importlib.util import find_spec

from lmspec.errors import LmspecError

PACKAGES = ("httptools", "prometheus_client", "starlette", "uvicorn")


def require() -> None:
    """Raise LmspecError if one is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        found = f"the packages of the extra `serve` are not installed: {', '.join(missing)}"
        raise LmspecError("lmspec serve", found, "pip install 'lmspec[serve]'")
