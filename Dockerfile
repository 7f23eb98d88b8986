# The page and the API, a worker, or the command line: for a home server and for a Hugging Face Space. README.md tells how.
ARG BASE=python:3.13-slim
FROM ${BASE}

# What to install: requirements-core.txt is camera motion, requirements.txt Stable Video Diffusion and Wan too.
ARG REQUIREMENTS=requirements-core.txt
# Where PyTorch alone comes from. Asked together with another index, pip takes what is newest, whatever it was built for.
ARG PYTORCH_INDEX_URL
# Read by pip: where everything comes from, and where else to look.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL

ENV HOME=/home/user LANG=C.UTF-8 PATH=/venv/bin:$PATH
RUN useradd --non-unique --uid 1000 --create-home --home-dir $HOME user

# The UNet is compiled on the GPU it runs on, which takes a C compiler.
RUN if [ "$REQUIREMENTS" != requirements-core.txt ]; then \
        apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*; \
    fi

WORKDIR /app
COPY requirements-core.txt requirements-fleet.txt requirements.txt ./
RUN python3 -m venv /venv && \
    torch=$(sed -n 's/^\(torch[<>=][^ #]*\).*/\1/p' "$REQUIREMENTS") && \
    if [ -n "$torch" ] && [ -n "$PYTORCH_INDEX_URL" ]; then \
        /venv/bin/pip install --no-cache-dir --no-deps --index-url "$PYTORCH_INDEX_URL" "$torch"; \
    fi && \
    /venv/bin/pip install --no-cache-dir -r "$REQUIREMENTS" ${PYTORCH_INDEX_URL:+--extra-index-url "$PYTORCH_INDEX_URL"}

# 1 where the settings name a Broker: the libraries that reach it.
ARG WITH_BROKER
RUN if [ -n "$WITH_BROKER" ]; then /venv/bin/pip install --no-cache-dir -r requirements-fleet.txt; fi

COPY . .
# Whatever the umask of whoever builds, all can be read, and these two alone be written to.
RUN chmod -R a+rX,go-w . && mkdir -p models outputs && chown 1000:1000 models outputs

USER 1000
VOLUME /app/models /app/outputs
EXPOSE 5000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 5000, timeout = 20); c.request('GET', '/health'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "/app/__main__.py", "--host", "0.0.0.0"]
CMD ["serve", "--fetch", "depth"]
