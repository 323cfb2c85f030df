"""The faults of a file that a client hands in: a branch of the tree in `errors`.

InputError
├── InputNotFound               no input with this id (any more), or another owner's
├── InputUnreadable             it is damaged, cut off or empty
├── InputUnsupported            it is of a kind that is not taken here
└── InputTooLarge               in bytes, pixels, seconds, or the work that it takes

GenerationError
├── InputMissing                a file of the job is gone, or is another than was sent in
└── InputUnavailable            the object store did not give a file of the job
"""

from services.common.errors import GenerationError, StudioError


class InputError(StudioError): ...


class InputNotFound(InputError):
    def __init__(self, input_id: str) -> None:
        super().__init__(f"there is no input {input_id[:100]}: it may have ended, so send the file again")


class InputUnreadable(InputError): ...


class InputUnsupported(InputError): ...


class InputTooLarge(InputError): ...


class InputMissing(GenerationError):
    code = "input-missing"
    retryable = False  # the same id has no file the next time either


class InputUnavailable(GenerationError):
    code = "storage-unavailable"
