"""What every request meets: connections, names, keys, room, the body, the reply; what is asked for is not."""
