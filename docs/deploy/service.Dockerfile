# The service alone: what answers, without TensorFlow and without anything that trains.
#   docker build --file docs/deploy/service.Dockerfile --tag ratchet-service:0.1.0 .
FROM docker.io/library/python:3.11-slim-bookworm AS packages
COPY requirements-serve.lock /
RUN python -m venv /opt/ratchet \
    && /opt/ratchet/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement /requirements-serve.lock

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
COPY service /app/service
RUN python -m compileall -q /app
# All that is written is below the home: mount it, and the rest of the file system may be read-only.
RUN install --directory --owner 65534 --group 65534 --mode 0700 /home/ratchet
ENV PATH=/opt/ratchet/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/home/ratchet \
    RATCHET_HOME=/home/ratchet \
    RATCHET_HOST=0.0.0.0 \
    RATCHET_PORT=3000 \
    RATCHET_DRAIN_SECONDS=10 \
    RATCHET_LOG_FORMAT=json
WORKDIR /app
USER 65534:65534
VOLUME /home/ratchet
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=3s --retries=12 CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:3000/livez', timeout=2)"
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "service.run"]
