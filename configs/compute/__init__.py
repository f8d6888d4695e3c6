"""Where work is done: the address of a cluster, or the cores of this machine, as people write it."""
