# LiteLLM with the plugin, on LiteLLM's own image or on one that you built from it:
#   docker build --build-arg LITELLM_IMAGE=... -t litellm-fivelevers .
#   docker run -p 4000:4000 -v ./config.yaml:/app/config.yaml:ro -v ./litellm_config:/etc/fivelevers:ro \
#     -v fivelevers:/var/lib/fivelevers litellm-fivelevers --config /app/config.yaml
# The config needs the lines that are marked (*) in litellm_config/config.yaml. A LiteLLM outside >=1.106.2,<1.107 runs
# without the plugin, which says so in its log and on /fivelevers/v1/health.
ARG LITELLM_IMAGE=litellm/litellm:v1.106.2-stable
ARG UV_IMAGE=astral/uv:0.10.9

FROM ${UV_IMAGE} AS uv

FROM ${LITELLM_IMAGE}
# The user that LITELLM_IMAGE runs as: root in LiteLLM's default image, nobody in its non-root one.
ARG RUN_AS=root
USER root

# LiteLLM's images have no pip. What they have installed stays at its version; only what is missing comes in.
COPY pyproject.toml README.md LICENSE /tmp/fivelevers/
COPY plugins /tmp/fivelevers/plugins
RUN --mount=from=uv,source=/uv,target=/usr/local/bin/uv \
    python="$(command -v python || command -v python3)" \
    && uv pip freeze --python "$python" | grep '==' > /tmp/installed.txt \
    && uv pip install --python "$python" --no-cache --constraint /tmp/installed.txt "/tmp/fivelevers[postgres]" \
    && rm -rf /tmp/fivelevers /tmp/installed.txt

# Events wait here until the ledger has them, so it outlives the container. Group 0 may write, for hosts that choose the
# user themselves.
RUN mkdir -p /var/lib/fivelevers /etc/fivelevers \
    && chown "${RUN_AS}:0" /var/lib/fivelevers \
    && chmod 0770 /var/lib/fivelevers
VOLUME ["/var/lib/fivelevers"]
ENV FIVELEVERS_STATE_DIR=/var/lib/fivelevers \
    FIVELEVERS_POLICY=/etc/fivelevers/fivelevers.yaml

USER ${RUN_AS}
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:4000/fivelevers/v1/health', timeout=4)"]
