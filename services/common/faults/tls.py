"""Refusals of TLS are recognised by the words of OpenSSL, which every client library passes on."""

from typing import Final

from services.common.faults.refusals import Fault

_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
_PLAIN: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def tls_fault(exc: BaseException, setting: str, trust: str) -> Fault | None:
    """Return the fault, None for another error. `trust` says how the server's authority is made known."""
    text = str(exc)
    if _UNTRUSTED in text:
        return Fault(
            f"The server in {setting} has a certificate of another name, an old one, or one of an authority that is "
            f"not known here: correct the host, renew the certificate, or {trust}",
            lasting=True,
        )
    if any(each in text for each in _PLAIN):
        return Fault(
            f"The server in {setting} speaks no TLS on this port: correct the port, or take the scheme without TLS",
            lasting=True,
        )
    return None
