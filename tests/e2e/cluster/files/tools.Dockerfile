# A shell with wget and nc for tests, where the node image was pulled: one that is built here has it already.
ARG BASE
FROM ${BASE} AS packed
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends busybox-static \
 && mkdir -p /out/bin /out/etc /out/tmp && chmod 1777 /out/tmp && cp /bin/busybox /out/bin/ \
 && for name in $(/bin/busybox --list); do [ "$name" = busybox ] || ln -s busybox "/out/bin/$name"; done
FROM scratch
COPY --from=packed /out /
ENV PATH=/bin
