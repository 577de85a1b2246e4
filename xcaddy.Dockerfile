# Caddy with caddy-zoho, built from this very tree:
#
#   docker build -f xcaddy.Dockerfile -t caddy-zoho .
#
# The image of a release takes the binaries of the release in place of that, so that both are
# the same to the byte: --build-arg BINARY=released, after `RELEASE=dist .ci/run release`.
#
# Both tags and the version given to xcaddy are the Caddy version of go.mod; a
# test compares them.

ARG BINARY=built

FROM caddy:2.11.9-builder AS builder
# The image's Go gives way to the one that go.mod asks for. Without a capability of its own the
# binary starts with all of them dropped.
ENV GOTOOLCHAIN=auto XCADDY_SETCAP=0
COPY . /src
RUN xcaddy build v2.11.9 --output /usr/bin/caddy --with github.com/caddy-zoho/caddy-zoho=/src

FROM scratch AS built
COPY --from=builder /usr/bin/caddy /caddy

FROM scratch AS released
ARG TARGETARCH
COPY --chmod=0755 dist/bin/linux_${TARGETARCH}/caddy /caddy

FROM ${BINARY} AS binary

FROM caddy:2.11.9
ARG VERSION=devel
LABEL org.opencontainers.image.title=caddy-zoho
LABEL org.opencontainers.image.description="Caddy with a live Zoho access token for every app"
LABEL org.opencontainers.image.version=${VERSION}
LABEL org.opencontainers.image.url=https://github.com/caddy-zoho/caddy-zoho
LABEL org.opencontainers.image.documentation=https://github.com/caddy-zoho/caddy-zoho
LABEL org.opencontainers.image.source=https://github.com/caddy-zoho/caddy-zoho
LABEL org.opencontainers.image.vendor=caddy-zoho
LABEL org.opencontainers.image.licenses=Apache-2.0
COPY --from=binary /caddy /usr/bin/caddy
# Configured by ZOHO_* variables alone; mount another file over it for more. It
# listens on loopback: let the container share the app's network (deploy/).
COPY Caddyfile.example /etc/caddy/Caddyfile
# A tenth to a sixth less processor time for 30 MiB of memory. Caddy sets GOMEMLIMIT by the container's limit, which bounds it.
ENV GOGC=400
# Nobody whom the image knows. /data/caddy and /config/caddy are open to any user. Where the root file system is
# read-only, mount both folders and /tmp.
USER 10001:10001
# Unhealthy until an account is connected.
HEALTHCHECK --interval=10s --timeout=3s CMD wget -q -O /dev/null "http://127.0.0.1:${ZOHO_PORT:-8080}/zoho-health"
