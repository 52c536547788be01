# One image for every process of Queuelight: worker, wallboard, topics, simulator.
#
#   docker build --tag queuelight .
#   docker build --tag queuelight --build-arg COMPILE=0 .      # no compiler: the same modules in plain Python

ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
# 1: the hot modules are compiled with mypyc, which saves about a quarter of the folds' CPU time.
ARG COMPILE=1
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
WORKDIR /build

# What rarely changes comes first: these layers are kept while only the sources change.
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /opt/queuelight \
    && /opt/queuelight/bin/pip install --require-hashes -r requirements.lock
RUN if [ "$COMPILE" = 1 ]; then \
      apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev \
      && python -m venv /opt/tools \
      && /opt/tools/bin/pip install --require-hashes -r requirements-dev.lock; \
    else \
      ln -s /opt/queuelight /opt/tools; \
    fi

COPY pyproject.toml setup.py README.md LICENSE ./
COPY schemas/ schemas/
COPY streams/ streams/
COPY agents/ agents/
COPY dashboards/ dashboards/
RUN QUEUELIGHT_COMPILE="$COMPILE" /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/queuelight/bin/pip install --no-deps --no-index wheels/*.whl \
    && /opt/queuelight/bin/python -m compileall -q /opt/queuelight/lib


FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Queuelight" \
      org.opencontainers.image.description="Live numbers of a contact centre, exactly, from its events on Kafka" \
      org.opencontainers.image.licenses="Apache-2.0"
# A number, so that whoever runs the image can see that it is not root. A new volume on a folder belongs to this user.
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent queuelight \
    && install --directory --owner 10001 --group 10001 /var/lib/queuelight/names /var/lib/queuelight/spool
COPY --from=build /opt/queuelight /opt/queuelight
# Nothing is written but to /tmp and the folders above: the root file system may be read-only.
ENV PATH=/opt/queuelight/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
# Workers and wallboards stop in order at SIGTERM, Docker's default.
ENTRYPOINT ["queuelight"]
CMD ["--help"]
