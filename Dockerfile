FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

FROM node:26-slim AS dependencies
WORKDIR /dependencies
COPY package.json package-lock.json .npmrc ./
# Without the embedded PostgreSQL: a container is given DATABASE_URL.
RUN npm ci --omit=dev --omit=optional && npm cache clean --force

FROM node:26-slim
LABEL org.opencontainers.image.title="Countersign" \
      org.opencontainers.image.description="Self-hosted OAuth 2.0 authorization server for service accounts" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    COUNTERSIGN_HOST=0.0.0.0 \
    COUNTERSIGN_PORT=8080 \
    COUNTERSIGN_KEYS_DIR=/keys
WORKDIR /app
# Owned by root: the server cannot change its own code.
COPY --from=dependencies /dependencies/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json openapi.yaml LICENSE ./
RUN ln -s /app/dist/src/main.js /usr/local/bin/countersign \
 && install -d -o node -g node -m 700 /keys
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.COUNTERSIGN_PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# No core dumps, and no debugger at SIGUSR1: memory holds private keys (docs/security/secrets.md).
ENTRYPOINT ["sh", "-c", "ulimit -c 0 && exec node --disable-sigusr1 --max-semi-space-size=64 /app/dist/src/main.js \"$@\"", "countersign"]
CMD ["serve"]
