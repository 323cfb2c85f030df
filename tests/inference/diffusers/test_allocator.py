"""The allocator's settings, in a process of their own, because they cannot be undone."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, threading
from services.inference.diffusers.allocator import keep_memory

if sys.argv[1] == "kept":
    keep_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(48 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def twice():
    faults()
    print(faults())

thread = threading.Thread(target=twice)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_given_back_is_kept() -> None:
    """The second large tensor of the model thread takes the pages of the first; without our settings, new ones."""
    faults = {how: int(subprocess.check_output([sys.executable, "-c", PROGRAM, how])) for how in ("kept", "as is")}
    assert faults["as is"] > 1000
    assert faults["kept"] < 100
