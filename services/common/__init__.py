"""The code that gateway and worker share; it imports neither of them."""
