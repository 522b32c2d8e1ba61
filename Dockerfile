# The image of `tick serve` and `tick worker`: built with every package checked by hash, run without root.
FROM python:3.12.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /opt/tick
WORKDIR /build
COPY constraints.txt ./
# The developers' packages come last in the file, after a line of their own. setuptools builds, and doesn't run.
RUN sed '/^# For developers/,$d' constraints.txt > running.txt \
    && sed -n '/^setuptools==/,/[^\\]$/p' running.txt > building.txt \
    && sed -i '/^setuptools==/,/[^\\]$/d' running.txt \
    && pip install --only-binary :all: --require-hashes -r building.txt \
    && pip --python /opt/tick/bin/python install --only-binary :all: --require-hashes --no-deps --no-compile -r running.txt
COPY pyproject.toml README.md LICENSE ./
COPY flows flows
COPY storage storage
COPY bot bot
COPY api api
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && pip --python /opt/tick/bin/python install --no-deps --no-compile wheels/*.whl

FROM python:3.12.12-slim-bookworm
LABEL org.opencontainers.image.title="Tick" \
      org.opencontainers.image.description="A self-hosted support desk on WhatsApp." \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/tick /opt/tick
# Compiled here, once: under a read-only root a program can't keep what it compiles, and would compile it at every start.
# Python's own library comes uncompiled in the base image. ensurepip holds another pip, with which it would put one back.
RUN pip uninstall --yes --quiet --root-user-action=ignore pip setuptools \
    && rm -r "$(python -c 'import ensurepip, os; print(os.path.dirname(ensurepip.__file__))')" \
    && python -m compileall -q -x '/(tests?|lib2to3)/' \
        "$(python -c 'import os; print(os.path.dirname(os.__file__))')" /opt/tick/lib \
    && groupadd --system --gid 10001 tick \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home tick \
    && install -d -o tick -g tick -m 700 /data
ENV PATH=/opt/tick/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=5000 DATA_DIR=/data
USER tick
WORKDIR /data
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-S", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
CMD ["tick", "serve"]
