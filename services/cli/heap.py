"""Spares the garbage collector what was loaded at the start: it stays to the end."""

import gc


def freeze_heap() -> None:
    """Call when all is loaded. A full collection holds up every thread of the process, the model's among them: those of
    a worker with torch and diffusers took 230 ms each, every ten seconds or so under load, and take 5 to 10 with this.
    """
    gc.collect()
    gc.freeze()
