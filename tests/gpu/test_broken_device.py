"""A GPU on which no call succeeds any more."""

import subprocess
import sys

import pytest

from tests.support.system import ROOT

pytestmark = pytest.mark.gpu


def test_failed_assertion_on_the_device() -> None:
    """A failed assertion on the device raises DeviceFailed, so that the worker leaves and another tries the job."""
    command = [sys.executable, "-m", "tests.support.models.broken_device"]
    # The exit code of a process with a broken device depends on the driver.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.stdout.startswith("DeviceFailed: the device failed: CUDA error: device-side assert"), done
