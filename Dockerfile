# One image definition for every service: docker build --build-arg SERVICE=<name> -t imagetron/<name>:dev .
# A second target, model-server, is NVIDIA's Triton with our model repository inside, for clusters that cannot mount it.

FROM python:3.11-slim-bookworm AS build
ARG SERVICE
WORKDIR /src
COPY requirements/ requirements/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
# Dependencies come before our sources, so that a change of ours costs no download.
RUN uv venv --no-cache --python /usr/local/bin/python /opt/imagetron \
    && uv pip install --no-cache --python /opt/imagetron/bin/python --require-hashes --compile-bytecode \
        -r requirements/runtime.txt
COPY libs/ libs/
COPY services/ services/
# The build backend is held to the lock file's hashes too; our own packages need no further dependency.
RUN test -n "${SERVICE}" \
    && for package in libs/contracts libs/chassis "services/${SERVICE}"; do \
        uv build --no-cache --wheel --require-hashes --build-constraints requirements/dev.txt \
            --out-dir /wheels "${package}" || exit 1; \
    done \
    && uv pip install --no-cache --python /opt/imagetron/bin/python --no-deps --no-index --compile-bytecode /wheels/*.whl
# What `python -m imagetron_<service>` does, under one name: an entry point in exec form cannot use a build argument.
RUN printf '%s\n' '#!/opt/imagetron/bin/python' 'import runpy' '' \
        "runpy.run_module('imagetron_${SERVICE}', run_name='__main__', alter_sys=True)" > /opt/imagetron/bin/service \
    && chmod 0755 /opt/imagetron/bin/service


# Server 2.51, the one that the tests run from its wheel. Its Python stub dies of numpy 2, so the build refuses that.
FROM nvcr.io/nvidia/tritonserver:24.10-py3 AS model-server
RUN python3 -c "import numpy, sys; sys.exit('numpy ' + numpy.__version__ if int(numpy.__version__.split('.')[0]) > 1 else 0)"
COPY deploy/triton/model_repository /models
USER 1000:1000
CMD ["tritonserver", "--model-repository=/models", "--model-control-mode=explicit", "--load-model=preview"]


FROM python:3.11-slim-bookworm AS service
ARG SERVICE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="imagetron-${SERVICE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 imagetron \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin imagetron
# Pillow writes right-to-left watermarks with it, and finds it when it runs.
RUN if [ "${SERVICE}" = deriver ]; then \
        apt-get update -qq && apt-get install -y -qq --no-install-recommends libfribidi0 && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /opt/imagetron /opt/imagetron
ENV PATH=/opt/imagetron/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /tmp
# Liveness only; orchestrators ask /readyz themselves. Workers answer on PROBES_PORT, the gateway on its own port.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + (os.environ.get('PROBES_PORT') or os.environ.get('GATEWAY_PORT') or '8015') + '/healthz', timeout=4)"]
# Python is process 1 and handles SIGTERM itself: no shell and no init process in between.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/imagetron/bin/service"]
