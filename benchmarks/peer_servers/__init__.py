"""Peers of this project, each serving studio-tiny as its own documentation advises, in an environment of its own.

Every server listens on PEER_PORT and answers `POST /generate {"prompt": ..., "seed": ...}` with a PNG. Nothing here
imports from this project, so that a peer needs no more than its own list of requirements.
"""
