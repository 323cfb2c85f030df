"""What the backends in Redis share: the link to the server, and its clock."""
