"""Protocols of clients that exist already: MLflow's scoring server, Open Inference; not our own routes.

Each module translates: what comes becomes checked records, which join the same batches and the
same log as those of predict, and what is answered there becomes the protocol's own shape.
"""
