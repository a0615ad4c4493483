# The images of Trackyard: --target operator, router, cli or worker-agent. The context is a directory with bin/, what cargo
# has compiled, and tools/, what builders build with; `make images` makes it, and the images.
#
# BASE is a Debian with apt. Only the worker's image has a shell: its builders run git, and git runs ssh.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS libraries
COPY packages /packages
RUN set -e; . /packages; missing=; \
    for package in $LIBRARIES; do dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"; done; \
    [ -z "$missing" ] || { apt-get update; apt-get install -y --no-install-recommends $missing; }
COPY bin/ /programs/
# What the programs load, and nothing else: the loader, libraries, certificates, and a user without rights.
RUN set -e; mkdir -p /root-of/etc/ssl/certs /root-of/tmp; chmod 1777 /root-of/tmp; \
    for file in $(ldd /programs/* | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | grep -v : | sort -u); do \
      mkdir -p "/root-of$(dirname "$file")"; cp -L "$file" "/root-of$file"; \
    done; \
    cp -L /etc/ssl/certs/ca-certificates.crt /root-of/etc/ssl/certs/; \
    echo 'trackyard:x:65532:65532::/tmp:/nonexistent' >/root-of/etc/passwd; \
    echo 'trackyard:x:65532:' >/root-of/etc/group; \
    echo 'hosts: files dns' >/root-of/etc/nsswitch.conf

FROM scratch AS operator
COPY --from=libraries /root-of/ /
COPY bin/trackyard-operator /usr/bin/trackyard-operator
USER 65532:65532
ENTRYPOINT ["/usr/bin/trackyard-operator"]

FROM scratch AS router
COPY --from=libraries /root-of/ /
COPY bin/trackyard-router /usr/bin/trackyard-router
USER 65532:65532
ENTRYPOINT ["/usr/bin/trackyard-router"]

FROM scratch AS cli
COPY --from=libraries /root-of/ /
COPY bin/trackyard /usr/bin/trackyard
USER 65532:65532
ENTRYPOINT ["/usr/bin/trackyard"]

# Privileged by its nature: it makes namespaces and control groups for the jobs, which are not.
FROM ${BASE} AS worker-agent
COPY packages /packages
RUN set -e; . /packages; missing=; \
    for package in $LIBRARIES $WORKER; do dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"; done; \
    [ -z "$missing" ] || { apt-get update; apt-get install -y --no-install-recommends $missing; }; \
    rm -rf /var/lib/apt/lists/* /packages
COPY tools/ /usr/local/bin/
COPY bin/trackyard-worker /usr/bin/trackyard-worker
ENTRYPOINT ["/usr/bin/trackyard-worker"]
