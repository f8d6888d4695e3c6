"""A use case drafted from a labelled file: what its columns are, what gives the label away, and the YAML.

Plain functions of what was read; the command that asks, prints and writes is outside.
"""
