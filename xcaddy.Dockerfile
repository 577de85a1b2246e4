# Caddy with caddy-zoho, built from this very tree:
#
#   docker build -f xcaddy.Dockerfile -t caddy-zoho .
#
# Both tags and the version given to xcaddy are the Caddy version of go.mod; a
# test compares them.

FROM caddy:2.11.9-builder AS builder
# The image's Go gives way to the one that go.mod asks for.
ENV GOTOOLCHAIN=auto
COPY . /src
RUN xcaddy build v2.11.9 --output /usr/bin/caddy --with github.com/caddy-zoho/caddy-zoho=/src

FROM caddy:2.11.9
COPY --from=builder /usr/bin/caddy /usr/bin/caddy
# Configured by ZOHO_* variables alone; mount another file over it for more. It
# listens on loopback: let the container share the app's network (deploy/).
COPY Caddyfile.example /etc/caddy/Caddyfile
# A tenth to a sixth less processor time for 30 MiB of memory. Caddy sets GOMEMLIMIT by the container's limit, which bounds it.
ENV GOGC=400
