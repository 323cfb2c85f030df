"""Peers of this project, each serving studio-tiny as its documentation advises, in its own environment.

Every server listens on PEER_PORT and answers `POST /generate {"prompt": ..., "seed": ...}` with a PNG. These modules
import nothing from this project, so that a peer needs only its own list of requirements.
"""
