# Trackyard's images: --target operator, router, cli or worker-agent. The context is a directory with the compiled programs
# in bin/, the image builders in tools/, and the file `packages`; `make images` makes it, and builds the images.
#
# BASE is a Debian with apt. Only the worker's image has a shell, because its builders run git, and git runs ssh.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS libraries
COPY packages /packages
RUN set -e; . /packages; missing=; \
    for package in $LIBRARIES; do dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"; done; \
    [ -z "$missing" ] || { apt-get update; apt-get install -y --no-install-recommends $missing; }
COPY bin/ /programs/
# A root with only what the programs load: the loader, libraries, certificates and an unprivileged user.
RUN set -e; mkdir -p /rootfs/etc/ssl/certs /rootfs/tmp; chmod 1777 /rootfs/tmp; \
    for file in $(ldd /programs/* | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | grep -v : | sort -u); do \
      mkdir -p "/rootfs$(dirname "$file")"; cp -L "$file" "/rootfs$file"; \
    done; \
    cp -L /etc/ssl/certs/ca-certificates.crt /rootfs/etc/ssl/certs/; \
    echo 'trackyard:x:65532:65532::/tmp:/nonexistent' >/rootfs/etc/passwd; \
    echo 'trackyard:x:65532:' >/rootfs/etc/group; \
    echo 'hosts: files dns' >/rootfs/etc/nsswitch.conf

FROM scratch AS operator
COPY --from=libraries /rootfs/ /
COPY bin/trackyard-operator /usr/bin/trackyard-operator
USER 65532:65532
ENTRYPOINT ["/usr/bin/trackyard-operator"]

FROM scratch AS router
COPY --from=libraries /rootfs/ /
COPY bin/trackyard-router /usr/bin/trackyard-router
USER 65532:65532
ENTRYPOINT ["/usr/bin/trackyard-router"]

FROM scratch AS cli
COPY --from=libraries /rootfs/ /
COPY bin/trackyard /usr/bin/trackyard
USER 65532:65532
ENTRYPOINT ["/usr/bin/trackyard"]

# The worker must run privileged, to make namespaces and cgroups; its jobs are unprivileged.
FROM ${BASE} AS worker-agent
COPY packages /packages
RUN set -e; . /packages; missing=; \
    for package in $LIBRARIES $WORKER; do dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"; done; \
    [ -z "$missing" ] || { apt-get update; apt-get install -y --no-install-recommends $missing; }; \
    rm -rf /var/lib/apt/lists/* /packages
COPY tools/ /usr/local/bin/
COPY bin/trackyard-worker /usr/bin/trackyard-worker
ENTRYPOINT ["/usr/bin/trackyard-worker"]
