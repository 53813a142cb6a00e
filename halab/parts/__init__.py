"""What can stand on a host: our daemons, the real programs beside them, and small stand-ins for the large ones."""
