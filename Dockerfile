# docker build -t sidestream .
# docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" sidestream demo --output-dir out
#
# For an NVIDIA GPU build with --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 (the index that
# fits the driver) and run with --gpus all. Compiled models also need a C compiler: apt-get install gcc.
FROM python:3.12-slim

ARG TORCH_VERSION=2.13.0
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# The large layer first: it stays cached while the source changes.
RUN pip install --no-cache-dir "torch==${TORCH_VERSION}" --index-url "${TORCH_INDEX}"

COPY pyproject.toml README.md LICENSE /source/
COPY src /source/src
RUN pip install --no-cache-dir "torch==${TORCH_VERSION}" /source && rm -r /source

# Any user id may run it; weights are kept below HF_HOME, so mount a volume there to keep them.
ENV HF_HOME=/cache
RUN useradd --create-home sidestream && install -d -m 1777 /cache /data
USER sidestream
WORKDIR /data

ENTRYPOINT ["sidestream"]
CMD ["--help"]
