# `docker build .` makes the service; `docker build --target demo-provider .` what docker-compose.yml signs in at.
# A release without a known advisory: docs/security.md.
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
# A type error ends the build.
RUN npm run build
RUN mkdir bin && ln -s /app/dist/src/main.js bin/vestibule

# Without what only development needs, a second Node among it.
FROM node:${NODE_VERSION}-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional

FROM node:${NODE_VERSION}-bookworm-slim
LABEL org.opencontainers.image.title="Vestibule" \
      org.opencontainers.image.description="The forward-auth service for Traefik" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production
WORKDIR /app
# Owned by root: the service cannot change its own code, and it writes nothing at all (--read-only).
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
# `docker exec CONTAINER vestibule check-config`; a folder, since of a link by itself the target would be copied.
COPY --from=build /app/bin /usr/local/bin
COPY LICENSE ./
# A number, since Kubernetes cannot tell that a name is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 4180 4181
STOPSIGNAL SIGTERM
# By sub-command: the image needs no curl. Asks /readyz, which does not depend on Redis or the provider.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/src/main.js", "healthcheck"]
# `docker run IMAGE check-config` is `vestibule check-config`.
ENTRYPOINT ["node", "/app/dist/src/main.js"]
CMD ["serve"]
