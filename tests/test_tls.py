"""HTTPS from files: answers are those of HTTP, files that no client would take are refused."""

import asyncio
import datetime
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.serving import running
from lmspec.serving.tls import Tls
from tests import bundles
from tests.serving import Client
from tests.test_connections import BODY, REQUEST, listening

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)


class Files(NamedTuple):
    """Where the two are."""

    certificate: Path
    key: Path


def made(
    folder: Path,
    start: datetime.datetime = NOW - DAY,
    end: datetime.datetime = NOW + DAY,
    password: bytes | None = None,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Files:
    """A certificate for localhost that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    )
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    hidden: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        hidden = serialization.BestAvailableEncryption(password)
    folder.mkdir(exist_ok=True)
    files = Files(folder / "cert.pem", folder / "key.pem")
    pem = serialization.Encoding.PEM
    signed = builder.sign(key, hashes.SHA256())
    files.certificate.write_bytes(signed.public_bytes(pem))
    files.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, hidden))
    files.key.chmod(0o600)
    return files


def trusting(files: Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=files.certificate)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.make(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    client = Client(folder)
    yield client
    client.close()


def test_https_answers_as_http_does(client: Client, tmp_path: Path) -> None:
    """To a client that checks certificate and name; plain HTTP gets nothing."""
    files = made(tmp_path)
    expected = client.post(BODY).values["answers"]

    async def ask() -> None:
        async with listening(client, Tls(*files)) as (_, connect):
            connection = await connect(ssl=trusting(files), server_hostname="localhost")
            for _ in range(2):
                connection.writer.write(REQUEST)
                status, _, body = await connection.response()
                assert status == 200 and json.loads(body)["answers"] == expected
            connection.writer.close()
            plain = await connect()
            plain.writer.write(REQUEST)
            assert b"HTTP" not in await plain.reader.read()
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(ssl=trusting(made(tmp_path / "other")), server_hostname="localhost")

    asyncio.run(ask())


def test_new_files_are_of_new_connections(client: Client, tmp_path: Path) -> None:
    """Those that are open go on. Files that are refused change nothing."""
    files = made(tmp_path)
    tls = Tls(*files)
    former = trusting(files)

    async def ask() -> None:
        async with listening(client, tls) as (_, connect):
            old = await connect(ssl=former, server_hostname="localhost")
            made(tmp_path)
            tls.reload()
            newest = trusting(files)
            files.key.write_bytes(b"")
            with pytest.raises(LmspecError):
                tls.reload()
            new = await connect(ssl=newest, server_hostname="localhost")
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(ssl=former, server_hostname="localhost")
            for connection in (old, new):
                connection.writer.write(REQUEST)
                assert (await connection.response())[0] == 200
                connection.writer.close()

    asyncio.run(ask())


def test_half_a_handshake_stops_no_one(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is closed in time, and others are answered meanwhile; nor does the service wait at its end
    for a client that says nothing more."""
    monkeypatch.setattr(running, "HANDSHAKE_SECONDS", 0.5)
    files = made(tmp_path)

    async def ask() -> float:
        async with listening(client, Tls(*files)) as (server, connect):
            silent = [await connect() for _ in range(20)]
            silent[0].writer.write(b"\x16\x03\x01\x02\x00")
            quick = await connect(ssl=trusting(files), server_hostname="localhost")
            quick.writer.write(REQUEST)
            assert (await quick.response())[0] == 200
            assert all([await one.ended() for one in silent])
            quick.writer.transport.pause_reading()  # so it answers no goodbye
            server.should_exit = True
            began = time.monotonic()
            for _ in range(1000):
                if not server.server_state.connections:
                    break
                await asyncio.sleep(0.01)
            quick.writer.transport.abort()
            return time.monotonic() - began

    assert asyncio.run(ask()) < 5  # asyncio's own bound is 30


def refused(files: Files) -> LmspecError:
    with pytest.raises(LmspecError) as error:
        Tls(*files)
    return error.value


def test_files_that_no_client_would_take_are_refused(tmp_path: Path) -> None:
    """With the file, what is wrong with it, and what to do."""
    good = made(tmp_path / "good")
    Tls(*good)  # the control
    certificate, key = good
    other = made(tmp_path / "other")
    assert refused(Files(certificate, other.key)).place == str(other.key)
    assert "not the key of" in str(refused(Files(certificate, other.key)))
    assert "has expired" in str(refused(made(tmp_path / "a", NOW - 2 * DAY, NOW - DAY)))
    assert "not yet valid" in str(refused(made(tmp_path / "b", NOW + DAY, NOW + 2 * DAY)))
    hidden = made(tmp_path / "c", password=b"secret")
    assert "encrypted" in str(refused(hidden)) and refused(hidden).place == str(hidden.key)
    of_client = made(tmp_path / "d", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert "purpose" in str(refused(of_client))
    assert "no certificate" in str(refused(Files(key, key)))
    assert "no private key" in str(refused(Files(certificate, certificate)))
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    assert (
        refused(Files(empty, key)).place == refused(Files(certificate, empty)).place == str(empty)
    )
    for file in other:
        content = file.read_bytes()
        file.write_bytes(content[:80] + content[120:])
        assert "damaged" in str(refused(other))
        file.write_bytes(content)
    key.chmod(0o644)
    assert "every user may read" in str(refused(good))
    with pytest.raises(FileNotFoundError):
        Tls(tmp_path / "none", key)


def test_the_command_says_what_is_wrong(folder: Path, tmp_path: Path) -> None:
    """On one line and with what to do next, before it listens."""
    files = made(tmp_path, NOW - 2 * DAY, NOW - DAY)
    for options, message in (
        (["--tls-cert", files.certificate], "--tls-cert and --tls-key belong together"),
        (["--tls-cert", files.certificate, "--tls-key", files.key], "certificate has expired"),
        (["--tls-cert", tmp_path / "none", "--tls-key", files.key], "No such file or directory"),
    ):
        done = CliRunner().invoke(main, ["serve", str(folder), "--port", "0", *map(str, options)])
        assert done.exit_code in (1, 2) and message in done.output
        assert "Traceback" not in done.output
