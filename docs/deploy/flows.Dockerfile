# What trains and judges: the worker, and the servers of MLflow and Prefect, by other commands of the same image.
#   docker build --file docs/deploy/flows.Dockerfile --tag ratchet-flows:0.1.0 .
FROM docker.io/library/python:3.11-slim-bookworm AS packages
COPY requirements.lock /
RUN python -m venv /opt/ratchet \
    && /opt/ratchet/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement /requirements.lock

FROM docker.io/library/python:3.11-slim-bookworm
# The first process of a container ignores SIGTERM until it handles it; tini hands it on from the beginning.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/ratchet /opt/ratchet
COPY configs /app/configs
COPY features /app/features
COPY store /app/store
COPY models /app/models
COPY flows /app/flows
COPY service /app/service
COPY pyproject.toml prefect.toml prefect.yaml README.md /app/
RUN python -m compileall -q /app
RUN install --directory --owner 65534 --group 65534 --mode 0700 /home/ratchet
ENV PATH=/opt/ratchet/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/home/ratchet \
    RATCHET_HOME=/home/ratchet
WORKDIR /app
USER 65534:65534
VOLUME /home/ratchet
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "flows.scheduling.worker"]
