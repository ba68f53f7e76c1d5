# One image for every machine, by what it is built on:
#   RTX PC, CPU           the default
#   DGX Spark, images     --build-arg BASE=nvcr.io/nvidia/pytorch:25.11-py3
#   DGX Spark, chat too   --build-arg BASE=nvcr.io/nvidia/tensorrt-llm/release:<tag>
# NVIDIA's containers keep their own torch, TensorRT and everything else: the studio's packages go
# into an environment of its own beside them, and torch is left out of it where there is one.
ARG BASE=python:3.12-slim-bookworm
FROM ${BASE}

# PyTorch's CPU index, for an image without CUDA; empty is the CUDA build.
ARG TORCH_INDEX_URL=

USER 0
WORKDIR /opt/spark-studio
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# NVIDIA's containers bound what pip may install by PIP_CONSTRAINT; uv does not read it.
RUN PIP_CONSTRAINT='' PIP_BREAK_SYSTEM_PACKAGES=1 \
        python3 -m pip install --no-cache-dir --root-user-action=ignore 'uv>=0.9,<1' \
    && useradd --create-home --uid 10001 studio \
    && mkdir -p /data /cache/huggingface \
    && chown studio /data /cache/huggingface

COPY pyproject.toml constraints.txt LICENSE ./
RUN uv venv --system-site-packages /opt/venv \
    && touch /tmp/overrides.txt \
    && if python3 -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("torch"))'; then \
           echo "torch; python_version < '3'" > /tmp/overrides.txt; \
       fi \
    && uv pip install --python /opt/venv --no-cache --compile-bytecode \
           --constraint constraints.txt --override /tmp/overrides.txt \
           ${TORCH_INDEX_URL:+--index "${TORCH_INDEX_URL}" --index-strategy unsafe-best-match} \
           --editable . \
    && rm /tmp/overrides.txt

COPY app.py ./
COPY assets assets
COPY backend backend
COPY ui ui
RUN /opt/venv/bin/python -m compileall -q app.py backend ui

# Inside the container the studio listens to all addresses, so it asks for a name and password
# (STUDIO_AUTH); compose.yaml publishes the port on the host's loopback address only.
ENV PATH=/opt/venv/bin:${PATH} \
    HF_HOME=/cache/huggingface \
    STUDIO_HOME=/data \
    STUDIO_HOST=0.0.0.0 \
    STUDIO_PORT=7860
USER 10001
VOLUME ["/data", "/cache/huggingface"]
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
ENTRYPOINT ["python", "app.py"]
CMD ["serve"]
