# JetPack 7 (L4T r39.2, Ubuntu 24.04, Python 3.12, TensorRT of the base):
#
#   scripts/release VERSION
#   docker build --file deploy/l4t-r39.2.Dockerfile --build-arg BASE=IMAGE --tag scnet-edge:jetpack7 .
#
# IMAGE is NVIDIA's JetPack image of that release, under the full name of its catalogue. It brings
# CUDA and TensorRT with their Python packages, which the environment sees. Run it with
# `--runtime nvidia`. No board was at hand: linted, and its packages resolved, not built.
ARG BASE=l4t-jetpack:r39.2.0
# hadolint ignore=DL3006
FROM ${BASE}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive

# GStreamer reads csi: and gst: cameras; NVIDIA's own plugins come with the base.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends python3-venv python3-libnvinfer \
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad \
  && rm -rf /var/lib/apt/lists/*

# What is pinned with hashes first, then the wheel that scripts/release leaves in dist/.
COPY constraints/jetpack7.txt /tmp/constraints.txt
COPY dist/scnet_edge-*.whl /tmp/
RUN python3 -m venv --system-site-packages /opt/scnet-edge \
  && /opt/scnet-edge/bin/pip install --no-cache-dir --require-hashes --only-binary :all: \
    --requirement /tmp/constraints.txt \
  && /opt/scnet-edge/bin/pip install --no-cache-dir --no-deps /tmp/scnet_edge-*.whl \
  && rm /tmp/constraints.txt /tmp/scnet_edge-*.whl
ENV PATH=/opt/scnet-edge/bin:$PATH

# Nobody of this number is on the host. All that is kept lies in /data; the rest may be read-only.
RUN useradd --system --uid 10001 --groups video --home-dir /data scnet-edge \
  && mkdir --mode=0700 /data \
  && chown 10001 /data
USER 10001
WORKDIR /data
VOLUME /data
ENV HOME=/data STATE_DIRECTORY=/data/state PYTHONDONTWRITEBYTECODE=1

EXPOSE 8765
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["/opt/scnet-edge/bin/python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8765/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["scnet-edge"]
CMD ["run", "/data/bundle", "--config", "/data/robot.toml", "--live", "0.0.0.0:8765"]
