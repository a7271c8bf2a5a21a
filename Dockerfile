# One image for every role; compose.yaml picks the command.
FROM node:22.20.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm install --no-save --no-audit --no-fund --loglevel=error
COPY tsconfig.json tsconfig.build.json ./
COPY proto proto
COPY shared shared
COPY coordinator coordinator
COPY executor executor
COPY client client
COPY scripts scripts
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json && npm prune --omit=dev --no-audit --no-fund

FROM node:22.20.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
COPY proto proto
COPY jobs jobs
# The storage root and the workers' spill space; both are mounted in production.
RUN mkdir -p /data /spill && chown node:node /data /spill
USER node
ENTRYPOINT ["node"]
CMD ["dist/client/main.js", "--help"]
