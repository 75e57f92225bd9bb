"""What the acceptance tests stand on: Postern as a process, and the servers and clients around it.

Nothing here knows how Postern is built. It starts the binary, speaks HTTP and SMTP to it, and plays its peers.
"""
