"""A version that is asked about live records before it answers anybody: what is told; asking is outside."""
