# The agent's image: also runs the edge (python -m edge). Builds with the old builder and with BuildKit.
# The layers go from what never changes (rathole) to what always does (the code).
ARG BASE_IMAGE=debian:trixie-slim

FROM ${BASE_IMAGE} AS rathole
RUN apt-get update && \
    apt-get install -y --no-install-recommends binutils ca-certificates cargo gcc libc6-dev && \
    rm -rf /var/lib/apt/lists/*
# The host's CA bundle, where the deploy script has put it (a proxy that inspects TLS): the pattern matches nothing on a
# plain clone, and a COPY needs one file at least, hence together with a file that is always there.
COPY scripts/image/build-rathole.sh build/ca-certificates.cr[t] /build/
RUN if [ -f /build/ca-certificates.crt ]; then cp /build/ca-certificates.crt /etc/ssl/certs/; fi
ENV CARGO_HTTP_CAINFO=/etc/ssl/certs/ca-certificates.crt
RUN /build/build-rathole.sh /usr/local/bin/rathole

FROM ${BASE_IMAGE} AS venv
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates python3 python3-pip python3-venv && \
    rm -rf /var/lib/apt/lists/*
COPY requirements.txt build/ca-certificates.cr[t] /build/
RUN if [ -f /build/ca-certificates.crt ]; then cp /build/ca-certificates.crt /etc/ssl/certs/; fi
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt
RUN python3 -m venv --without-pip /opt/venv && \
    python3 -m pip --python /opt/venv/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        --requirement /build/requirements.txt

FROM venv AS code
WORKDIR /app
COPY agent.py gunicorn.conf.py ./
COPY core core
COPY compose compose
COPY rathole rathole
COPY satisfactory satisfactory
COPY provisioning provisioning
COPY orchestrator orchestrator
COPY api api
COPY edge edge
COPY docs/openapi.yaml docs/openapi.yaml
COPY scripts/image scripts/image
# The root is read-only at run time, so the bytecode is made here; by hash, as file times do not survive every builder.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE_IMAGE}
RUN apt-get update && \
    apt-get install -y --no-install-recommends docker-cli docker-compose iputils-ping python3 tini && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/apt /var/log/dpkg.log
COPY --from=rathole /usr/local/bin/rathole /usr/local/bin/rathole
COPY --from=venv /opt/venv /opt/venv
COPY --from=code /app /app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RATHOLE_CLIENT_BINARY=/usr/local/bin/rathole
WORKDIR /app
ENTRYPOINT ["tini", "--"]
CMD ["/app/scripts/image/run-agent.sh"]
