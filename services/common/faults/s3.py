"""The answers of an S3 server that an operator has to do something about."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ConfigParseError, NoCredentialsError, PartialCredentialsError, ProfileNotFound
from botocore.parsers import ResponseParserError

from services.common.faults.refusals import Fault
from services.common.faults.tls import tls_fault

ABSENT: Final = ("NoSuchKey", "404", "NotFound")
NO_BUCKET: Final = "NoSuchBucket"
KEYS: Final = "correct STUDIO_S3_ACCESS_KEY and STUDIO_S3_SECRET_KEY"
SETTINGS: Final = "Correct STUDIO_OBJECTS_URL, STUDIO_S3_ACCESS_KEY and STUDIO_S3_SECRET_KEY"
_KEYLESS: Final = (NoCredentialsError, PartialCredentialsError)
_FILES: Final = (ProfileNotFound, ConfigParseError)
_RENEW: Final = Fault("The session's credentials have expired: renew them and start again", lasting=True)
_REGION: Final = Fault("The bucket is in another region: end STUDIO_OBJECTS_URL with region=NAME", lasting=True)
FOREIGN: Final = Fault(
    "What answers there is no S3 server: correct the endpoint in STUDIO_OBJECTS_URL; "
    "the console of a server, which is for people, has a port of its own"
)
_OF_PROXIES: Final = (502, 503, 504)  # of a proxy whose server is away; botocore makes a 500 of a page with 200
_FULL: Final = Fault("The server has no room left: give it more, or delete jobs")

_ALLOW: Final = Fault(
    "Let this key list the bucket BUCKET and get, put and delete its objects: s3:ListBucket, s3:GetObject, "
    f"s3:PutObject, s3:DeleteObject; or {KEYS}",
    lasting=True,
)

_FAULTS: Final[Mapping[str, Fault]] = {
    "InvalidAccessKeyId": Fault(f"The server does not know this access key: {KEYS}", lasting=True),
    "SignatureDoesNotMatch": Fault(f"The secret is not that of the access key: {KEYS}", lasting=True),
    NO_BUCKET: Fault("There is no such bucket: aws s3 mb s3://BUCKET ENDPOINT", lasting=True),
    "AccessDenied": _ALLOW,
    "RequestTimeTooSkewed": Fault(
        "The clocks of this machine and of the server differ: timedatectl set-ntp true, on both", lasting=True
    ),
    "ExpiredToken": _RENEW,
    "InvalidToken": _RENEW,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "XMinioStorageFull": _FULL,
    "InsufficientStorage": _FULL,
    "QuotaExceeded": _FULL,
}


def s3_fault(answer: Mapping[str, Any], bucket: str, endpoint: str | None) -> Fault | None:
    """Return the fault that this answer (`ClientError.response`) tells, None for one that passes."""
    found, about = _FAULTS.get(s3_code(answer)), answer.get("ResponseMetadata", {})
    if found is None and about.get("HTTPHeaders", {}).get("content-type", "").startswith("text/html"):
        found = None if about.get("HTTPStatusCode") in _OF_PROXIES else FOREIGN
    elif found is None and about.get("HTTPStatusCode") in (401, 403):
        found = _ALLOW
    if found is None:
        return None
    server = f"--endpoint-url {endpoint}" if endpoint else ""
    return Fault(found.cure.replace("BUCKET", bucket).replace("ENDPOINT", server).strip(), found.lasting)


def s3_client_fault(exc: BaseException) -> Fault | None:
    """Return the fault of a call that was not made or whose answer was not read, None for one that passes."""
    if isinstance(exc, ResponseParserError) or "Bad status line" in str(exc):  # so aiohttp says it
        return FOREIGN
    if isinstance(exc, _KEYLESS):
        return Fault(f"There are no keys for the server, or one of the two: {KEYS}", lasting=True)
    if isinstance(exc, _FILES):
        return Fault("Correct AWS_PROFILE and the files of AWS's programs, or unset it: env | grep AWS_", lasting=True)
    return tls_fault(exc, "STUDIO_OBJECTS_URL", "name its file in AWS_CA_BUNDLE")


def s3_code(answer: Mapping[str, Any]) -> str:
    return str(answer.get("Error", {}).get("Code", ""))
