"""The server: a library over HTTP, with users, roles and live cameras. Needs ``onlooker[server]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.api.app import create_app
    from onlooker.api.settings import ServerSettings

__all__ = ["ServerSettings", "create_app"]

_PACKAGES = ("argon2", "fastapi", "prometheus_client", "uvicorn", "websockets", "python_multipart")


def __getattr__(name: str) -> Any:
    # the command line looks up settings and accounts without loading a web framework
    if name == "create_app":
        need_server()
        from onlooker.api.app import create_app

        return create_app
    if name == "ServerSettings":
        from onlooker.api.settings import ServerSettings

        return ServerSettings
    raise AttributeError(name)


def need_server() -> None:
    """Refuse to go on where the parts of a server are not installed.

    Raises:
        UsageError: names the first that is missing.
    """
    from importlib.util import find_spec

    missing = [p for p in _PACKAGES if find_spec(p) is None]
    if missing:
        raise UsageError(f"{missing[0]} is not installed", hint="pip install 'onlooker[server]'")
