"""The clients' connections: accepted, read and answered in HTTP/1.1 or HTTP/2, closed in time.

Hypercorn parses both protocols and calls the application. Its own server has no seam for these classes: `worker_serve`
names `TCPServer`, that names `ProtocolWrapper`, and that the protocols. So this package has a server of its own, which
is short, and subclasses of Hypercorn's protocols.
"""
