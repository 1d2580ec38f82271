"""serve: a bundle answers over HTTP."""

import functools
import sys
from pathlib import Path

import click

from lmspec.cli import mistakes
from lmspec.reports import printing

HOST = "127.0.0.1"


@click.command("serve")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--host", default=HOST, show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    help="Texts that are computed at once; with which a model that writes computes.  [processors]",
)
@click.option(
    "--slots", type=click.IntRange(1, 1024), help="Texts that are written side by side.  [8]"
)
@click.option(
    "--keys",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with a secret a line; requests need one of them.",
)
@click.option(
    "--compare",
    "other",
    metavar="BUNDLE",
    type=click.Path(path_type=Path),
    help="A second bundle: the page shows its answers beside those of the first.",
)
@click.option(
    "--allow-host",
    "allowed",
    metavar="NAME",
    multiple=True,
    help="A name by which browsers may ask, beside localhost and addresses.",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificate and what leads to it, in PEM: serve HTTPS.",
)
@click.option(
    "--tls-key", type=click.Path(path_type=Path, dir_okay=False), help="Its private key, in PEM."
)
@click.option(
    "--shadow",
    metavar="BUNDLE",
    type=click.Path(path_type=Path),
    help="A second bundle: asked what the first has answered; what differs is counted and logged.",
)
@click.option("--shadow-texts", is_flag=True, help="Log the texts whose answers differ, too.")
@click.option(
    "--log",
    "kept",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep texts and answers: FILE-000001.parquet, ...",
)
@click.option(
    "--log-files",
    type=click.IntRange(1, 100_000),
    default=64,
    show_default=True,
    help="So many files of 8 MiB of text are kept.",
)
@click.option(
    "--write-deployment",
    "deployment",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Serve nothing: write what serves it elsewhere (Dockerfile, systemd unit, KServe).",
)
@click.option(
    "--target",
    metavar="NAME",
    help="Which of the bundle's targets computes.  [the first that this machine runs]",
)
@click.option("--any-owner", is_flag=True, help="Take files that another user could change.")
@click.option("--quiet", is_flag=True, help="Log no requests.")
@mistakes.exit_with(1)
def command(
    bundle: Path,
    host: str,
    port: int,
    threads: int | None,
    slots: int | None,
    key_file: Path | None,
    other: Path | None,
    allowed: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    shadow: Path | None,
    shadow_texts: bool,
    kept: Path | None,
    log_files: int,
    deployment: Path | None,
    target: str | None,
    any_owner: bool,
    quiet: bool,
) -> None:
    """Serve the bundle in a folder: POST /v1/classify gives labels and probabilities; of a model
    that writes, /v1/completions and /v1/chat/completions give texts, as OpenAI's clients read them.

    It starts only if each file of the bundle is the one that was built. Answers are those of its
    predict.py, whatever else is asked at the same time. `/` is a page to try it, with its scores,
    mistakes and model card. Other endpoints: /v1/bundle, /v1/card, /healthz, /readyz, /metrics,
    /openapi.json; those of a second bundle (--compare) are below /compared. Limits are those of
    `bundle.<name>.serving` in params.yaml.

    The log, a JSON object a line on standard error, holds no texts, unless --shadow-texts has it
    do so; --log keeps texts in files that their owner alone can read. SIGHUP opens the folder
    again, such as a link that leads to another bundle now; a damaged one is refused, and the former
    is served on. SIGTERM and Ctrl-C let the requests that have arrived be answered first; the exit
    status is 1 if one was lost.

    Needs the extra `serve`: pip install 'lmspec[serve]'. --write-deployment serves nothing, and
    writes a folder with the bundle, lmspec and a Dockerfile, a unit of systemd and a kserve.yaml;
    --port, --threads, --slots, --target and --quiet are those of the service there.

    \b
    Example:
      lmspec serve data/bundle/release
      curl -H 'Content-Type: application/json' -d '{"text": "A fine film."}' \\
        http://127.0.0.1:8000/v1/classify
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    if shadow_texts and not shadow:
        raise click.UsageError("--shadow-texts is of --shadow")
    from lmspec.serving import requirements

    requirements.require()
    if deployment:
        if any((key_file, other, allowed, tls_cert, shadow, kept)) or host != HOST or not port:
            found = "options that name files, hosts or port 0 are for what is started there"
            raise click.UsageError(f"--write-deployment: {found}")
        options = (("--threads", threads), ("--slots", slots), ("--target", target))
        shown = [part for name, value in options if value for part in (name, str(value))]
        _write_deployment(bundle, deployment, port, [*shown, *["--quiet"] * quiet], any_owner)
        return
    from lmspec.git import origin
    from lmspec.serving import following, hosts, keys, logs, opening, running, starting
    from lmspec.serving.releases import Given
    from lmspec.serving.tls import Tls

    log = logs.Log(printing.record, requests=not quiet)
    number = threads or running.processors()
    tls = Tls(tls_cert, tls_key) if tls_cert and tls_key else None

    def reopen(folder: Path, target: str | None = None) -> Given:
        opened = opening.opened(folder, any_owner, number, target)
        known = keys.read(key_file) if key_file else None
        if tls:
            tls.reload()
        return Given(opened, origin.commit(opened), known)

    given, beside = reopen(bundle, target), reopen(other) if other else None
    service = starting.service(given, number, slots, log)
    compared = None
    if beside and other:
        second = starting.compared(given, beside, number, log)
        compared = second, functools.partial(reopen, other)
    after = following.Following(service, log, shadow, any_owner, shadow_texts, kept, log_files)
    listener = running.bound(host, port)
    names = hosts.of(listener.getsockname()[0], allowed)
    address = running.address(listener, tls)

    def ready() -> None:
        served = given.bundle
        runs = {"target": served.target} if served.target else {}
        digest = served.manifest.digest
        log("ready", bundle=served.name, digest=digest, url=address, threads=number, **runs)

    def again() -> Given:
        after.reload()
        return reopen(bundle, target)

    status = running.run(service, listener, ready, again, compared, names, tls)
    after.close()
    sys.exit(status)


def _write_deployment(
    bundle: Path, folder: Path, port: int, options: list[str], any_owner: bool
) -> None:
    from lmspec.scaffold import deployment
    from lmspec.serving import opening

    names = deployment.write(opening.opened(bundle, any_owner), folder, port, options)
    printing.text(f"wrote {', '.join(names)} in {folder}; each begins with how it is used")
