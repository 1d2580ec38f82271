"""tls: a certificate and its key, from files -> what encrypts connections."""

import contextlib
import ssl
import stat
from pathlib import Path

from lmspec.errors import LmspecError

CERTIFICATE, KEY = b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY-----"
ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


class Tls:
    """The files, and what a server encrypts with; each connection has the newest of them.

    certificate  in PEM, with those that lead to one that clients know after it
    key          in PEM, unencrypted

    Raises LmspecError, OSError.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self._newest = self.context = _context(*self._files)
        self.context.sni_callback = self._take_newest

    def reload(self) -> None:
        """Read the files again. If they are refused, the former ones stay."""
        self._newest = _context(*self._files)

    def _take_newest(
        self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        connection.context = self._newest


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    _require_readable(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            found, remedy = (
                f"it is not the key of {certificate}",
                "give the two that belong together",
            )
            raise LmspecError(str(key), found, remedy) from None
        found = f"the certificate or its key, {key}, is damaged: {error.reason or error}"
        raise LmspecError(str(certificate), found, "write both files again, in PEM") from None
    reason = _refused_by_clients(context, certificate)
    if reason:
        raise LmspecError(
            str(certificate), f"no client would take it: {reason}", "renew the certificate"
        )
    return context


def _require_readable(certificate: Path, key: Path) -> None:
    """Raise LmspecError for what OpenSSL would refuse without a word of why."""
    if CERTIFICATE not in certificate.read_bytes():
        found, remedy = "it has no certificate in PEM", f"it begins with {CERTIFICATE.decode()}"
        raise LmspecError(str(certificate), found, remedy)
    content = key.read_bytes()
    if KEY not in content:
        found, remedy = "it has no private key in PEM", "give the key of the certificate"
        raise LmspecError(str(key), found, remedy)
    if any(words in content for words in ENCRYPTED):
        found = "the key is encrypted, and a service has no one to ask for its password"
        remedy = f"decrypt it with `openssl pkey -in {key.name}`, into a file of mode 600"
        raise LmspecError(str(key), found, remedy)
    if stat.S_IMODE(key.stat().st_mode) & (stat.S_IROTH | stat.S_IWOTH):
        remedy = f"let no one else read it: `chmod 600 {key.name}`"
        raise LmspecError(str(key), "every user may read or write the key", remedy)


def _refused_by_clients(context: ssl.SSLContext, certificate: Path) -> str | None:
    """Why a client refuses that trusts exactly this certificate: it has expired, is not for
    servers, or its key is too short. They shake hands in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    try:
        for _ in range(3):
            for end in ends:
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except ssl.SSLError as error:
        return error.reason or str(error)
    return None
