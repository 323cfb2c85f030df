"""A GPU on which no call succeeds any more."""

import subprocess
import sys

import pytest

from tests.support.system import ROOT

pytestmark = pytest.mark.gpu


def test_failed_assertion_on_the_device() -> None:
    """It is told from a fault of the call, so that the worker leaves and the job is tried by another."""
    command = [sys.executable, "-m", "tests.support.models.broken_device"]
    # How a process with a broken device ends is the driver's business.
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert done.stdout.startswith("DeviceFailed: the device failed: CUDA error: device-side assert"), done
