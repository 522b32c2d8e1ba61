# The image of `tick serve` and `tick worker`: built with every package checked by hash, run without root.
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/tick
WORKDIR /build
COPY constraints.txt ./
# The developers' packages come last in the file, after a line of their own.
RUN sed '/^# For developers/,$d' constraints.txt > running.txt \
    && /opt/tick/bin/pip install --only-binary :all: --require-hashes -r running.txt
COPY pyproject.toml README.md LICENSE ./
COPY flows flows
COPY storage storage
COPY bot bot
COPY api api
RUN /opt/tick/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data --no-create-home tick \
    && install -d -o tick -g tick -m 700 /data
COPY --from=build /opt/tick /opt/tick
ENV PATH=/opt/tick/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 PORT=5000 DATA_DIR=/data
USER tick
WORKDIR /data
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/healthz', timeout=4)"]
CMD ["tick", "serve"]
