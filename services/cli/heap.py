"""Spares the garbage collector what was loaded at the start: it stays to the end."""

import gc


def freeze_heap() -> None:
    """Call when all is loaded. A full collection holds up every thread of the process, the model's among them: by
    `just bench looplag` those of a worker with torch and diffusers took 230 ms each, and take 5 to 10 with this.
    """
    gc.collect()  # first, or the garbage would stay as well
    gc.freeze()
