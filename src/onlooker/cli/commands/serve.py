"""``onlooker serve``: a library, and the cameras of a configuration, over HTTP."""

# "\b" in the docstrings is the control character by which typer keeps lines apart
# ruff: noqa: D301

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from onlooker.core.errors import UsageError

if TYPE_CHECKING:
    from onlooker.api.serving import Running
    from onlooker.api.settings import ServerSettings
    from onlooker.station import Station

__all__ = ["command"]

DEFAULT = Path("onlooker-library")


def command(
    library: Annotated[
        Path | None, typer.Option("--library", envvar="ONLOOKER_LIBRARY", help="The library folder.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Watch the cameras of this file, too.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 8080,
    names: Annotated[
        list[str] | None, typer.Option("--name", help="A host name by which it is asked for; repeatable.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--tls-cert", help="PEM file of the certificate chain.")] = None,
    key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")] = None,
    proxies: Annotated[
        list[str] | None, typer.Option("--proxy", help="Believe X-Forwarded-* of this proxy; repeatable.")
    ] = None,
    secure_cookies: Annotated[
        bool, typer.Option("--secure-cookies", help="A proxy does the TLS: cookies over TLS alone.")
    ] = False,
    private_sources: Annotated[
        bool, typer.Option("--allow-private-sources", help="Users may name addresses of internal networks.")
    ] = False,
    files: Annotated[
        list[Path] | None, typer.Option("--files", help="Users may name the files of this folder; repeatable.")
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, max=64, help="Analyses that run at once.")] = 1,
    log: Annotated[str, typer.Option("--log", help="text or json.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Print address and one-time link as a JSON object.")] = False,
) -> None:
    """Serve a library over HTTP, with users and roles; with --config also watch cameras.

    The first start makes the user admin and prints a link by which the password is set, once. SIGTERM and Ctrl-C end
    gracefully; SIGHUP reads the configuration and the certificate again, and cameras that did not change go on.

    \b
    Examples:
      onlooker serve --library lib
      onlooker serve --library lib --config watch.yaml --port 8443 --tls-cert cert.pem --tls-key key.pem --host 0.0.0.0
      onlooker serve --library lib --log json --files /srv/videos
    """
    from onlooker.api import ServerSettings, need_server

    need_server()
    form = _form(log)
    if (certificate is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key go together", hint="give both")
    settings = ServerSettings(
        host,
        port,
        tuple(names or ()),
        tls=certificate is not None,
        secure_cookies=secure_cookies,
        private_sources=private_sources,
        files=tuple(files or ()),
        jobs=jobs,
    )
    tls = None if certificate is None or key is None else (certificate, key)
    _run(settings, form, library, config, tls, tuple(proxies or ()), as_json=as_json)


def _run(
    settings: ServerSettings,
    form: Literal["text", "json"],
    library: Path | None,
    config: Path | None,
    tls: tuple[Path, Path] | None,
    proxies: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    from onlooker.api import create_app
    from onlooker.api.logs import set_up
    from onlooker.api.serving import Running, Tls, check_free, serve

    check_free(settings.host, settings.port)
    set_up(form)
    _warn(settings)
    with _station(config, library) as station:
        folder = library or (station.folder if station else DEFAULT)
        app = create_app(folder, station, settings, config=config)
        server = Running(app, tls=Tls(*tls) if tls else None, proxies=proxies)
        serve(server, ready=_announce(as_json), reload=server.context.reload if station else None)


def _station(config: Path | None, library: Path | None) -> AbstractContextManager[Station | None]:
    from onlooker.api.app import watching

    return nullcontext() if config is None else watching(config, library)


def _form(log: str) -> Literal["text", "json"]:
    if log == "text" or log == "json":
        return log
    raise UsageError(f"--log: expected text or json, got {log!r}")


def _warn(settings: ServerSettings) -> None:
    if not settings.loopback and not settings.tls and not settings.secure_cookies:
        print(
            f"onlooker: warning: listening on {settings.host} without TLS: passwords and pictures can be read on the"
            " way; give --tls-cert and --tls-key, or put a proxy in front and say --secure-cookies",
            file=sys.stderr,
        )


def _announce(as_json: bool) -> Callable[[Running], None]:
    def ready(server: Running) -> None:
        first = server.context.accounts.first()
        link = None if first is None else f"{server.address}/#link={first[1]}"
        if as_json:
            told: dict[str, Any] = {"address": server.address, "link": link}
            print(json.dumps(told), flush=True)
            return
        print(f"serving {server.context.folder} at {server.address}", flush=True)
        if first is not None:
            print(f"set the password of {first[0]} once, within a day: {link}", flush=True)

    return ready
