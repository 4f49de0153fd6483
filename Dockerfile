# The image of rotator. docs/install/container.md says how to build and run it; `make test-image` tries all of that.
#
#   docker build --build-arg EXTRAS=aws --tag rotator:aws .
#
# BASE    a Debian 13; pin it by its digest, or name a mirror's
# EXTRAS  the clouds, of those in pyproject.toml, with commas between: aws,gcp
ARG BASE=docker.io/library/debian:trixie-slim
ARG EXTRAS=all

# What the container has beside rotator: Python, and a pid 1 that passes signals on even before Python has set its
# handlers. Debian's versions are not pinned: a rebuild is to have the security fixes.
FROM ${BASE} AS base
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache \
      /var/log/apt /var/log/*.log \
 && useradd --uid 10001 --user-group --no-log-init --home-dir /var/lib/rotator --shell /usr/sbin/nologin rotator \
 && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/rotator \
 && install --directory /etc/rotator

# What the container doesn't have: pip and what it takes to build the wheel and the SBOM.
FROM base AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
WORKDIR /build
# pip's settings and the CAs of a mirror come as secrets (`--secret id=pip,src=pip.conf`), so that no layer has them.
COPY requirements requirements
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca \
    [ ! -e /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca; \
    python3 -m venv tools \
 && tools/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement requirements/image-build.lock \
 && python3 -m venv --without-pip /opt/rotator
ARG EXTRAS
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca \
    [ ! -e /run/secrets/ca ] || export PIP_CERT=/run/secrets/ca; \
    IFS=,; for extra in ${EXTRAS}; do set -- "$@" --requirement "requirements/image-${extra}.lock"; done; unset IFS; \
    tools/bin/pip --python /opt/rotator install --no-cache-dir --no-compile --no-deps --only-binary :all: \
      --require-hashes --requirement requirements/image.lock "$@"
COPY LICENSE README.md pyproject.toml ./
COPY rotator rotator
COPY --from=base /var/lib/dpkg/status dpkg-status
# Of the commands that came along only rotator's stays. The bytecode is trusted as it is: the root is read-only, so what
# was stale could never be made anew, and the times of files may change on their way through a registry.
RUN tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir dist . \
 && tools/bin/pip --python /opt/rotator install --no-cache-dir --no-compile --no-deps --no-index dist/*.whl \
 && find /opt/rotator/bin -type f ! -name rotator -delete \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/rotator/lib \
 && tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
      --output-file /opt/rotator/sbom.cdx.json /opt/rotator \
 && python3 requirements/sbom.py /opt/rotator/sbom.cdx.json dpkg-status "$(/opt/rotator/bin/rotator --version)"

FROM base
COPY --from=build /opt/rotator /opt/rotator
# PYTHONSAFEPATH: the working directory, which is the volume, is no place to import from.
# ROTATOR_IMAGE_EXTRAS: where a cloud's extra is missing, rotator names the build argument; there is no pip here.
ARG EXTRAS
ENV PATH=/opt/rotator/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    ROTATOR_CONFIG=/etc/rotator/rotator.yaml \
    ROTATOR_IMAGE_EXTRAS=${EXTRAS}
USER 10001:10001
VOLUME /var/lib/rotator
# SQLite puts temporary files here when there is no /tmp that can be written.
WORKDIR /var/lib/rotator
# Not -g: a credential helper of an SDK must not be killed in the middle of the call that the service still waits for.
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "/opt/rotator/bin/rotator"]
CMD ["run"]
HEALTHCHECK --interval=30s --timeout=15s --start-period=30s CMD ["/opt/rotator/bin/rotator", "health"]
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="rotator" \
      org.opencontainers.image.description="Rotates the cloud credentials held by Northflank integrations" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
