# `docker build .` builds the service; `docker build --target demo-provider .` the provider of docker-compose.yml.
# Node release without a known advisory: docs/security.md.
ARG NODE_VERSION=26.13.1

FROM node:${NODE_VERSION}-bookworm-slim AS development
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci

FROM development AS demo-provider
COPY stand-ins stand-ins
USER 65532:65532
EXPOSE 4400
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "/app/stand-ins/provider/server.ts"]

FROM development AS build
COPY tsconfig.json tsconfig.build.json ./
COPY src src
# Fails on a type error. Bundles the service with its packages, because loading a thousand files takes most of the start.
RUN npm run build
RUN mkdir bin && ln -s /app/dist/src/main.js bin/vestibule

# Keeps name, version and licence file of each bundled package, as licences demand and scanners of images expect. The packages of
# node-redis have no such file, and name their licence (MIT) in package.json.
FROM node:${NODE_VERSION}-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional
RUN mkdir packages && find node_modules -type f \( -iname 'licen[cs]e*' -o -iname '*notice*' -o -name package.json \) \
      -exec cp --parents --target-directory=packages {} +

FROM node:${NODE_VERSION}-bookworm-slim
LABEL org.opencontainers.image.title="Vestibule" \
      org.opencontainers.image.description="The forward-auth service for Traefik" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production
WORKDIR /app
# Files belong to root, so that the service cannot change its own code. It writes no file and runs with --read-only.
COPY --from=build /app/dist dist
COPY --from=packages /app/packages packages
# Enables `docker exec CONTAINER vestibule check-config`. Copies the folder, because COPY of a link copies its target.
COPY --from=build /app/bin /usr/local/bin
COPY LICENSE ./
# Numeric user, because Kubernetes cannot verify runAsNonRoot for a user name.
USER 65532:65532
EXPOSE 4180 4181
STOPSIGNAL SIGTERM
# Asks /readyz, which depends on neither Redis nor the provider; with the sub-command the image needs no curl.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/src/main.js", "healthcheck"]
# Makes `docker run IMAGE check-config` run `vestibule check-config`.
ENTRYPOINT ["node", "/app/dist/src/main.js"]
CMD ["serve"]
