"""How studio-tiny is made: rendered photos, captions as people type them, three small networks, and a judge of them."""
