# syntax=docker/dockerfile:1

# The image of every command: the worker by default, the others by their name. `mock-endpoint` is part of it so that
# a demo, a staging cluster or a load test needs no second image. It holds no secret, and `run` never starts it.

FROM docker.io/library/rust:1-slim-bookworm AS build
WORKDIR /revoker
# The dependencies have their own layer, built with an empty crate. It is built again only when they change.
ARG PROFILE=dist
COPY Cargo.toml Cargo.lock ./
# Members of the workspace that the image does not build. Cargo requires that they exist.
COPY benches/Cargo.toml benches/
COPY benches/instructions/Cargo.toml benches/instructions/
RUN mkdir src benches/src \
    && echo 'fn main() {}' | tee benches/src/main.rs benches/instructions/main.rs > src/main.rs \
    && touch src/lib.rs \
    && cargo build --profile "$PROFILE" --locked \
    && rm -r src
# The repository is not part of the context, so the revision comes as an argument: scripts/image gives it.
ARG REVOKER_REVISION
COPY build.rs ./
COPY config config
COPY src src
# Cargo compares times, and the files copied are older than the empty crate just built.
RUN touch src/main.rs src/lib.rs \
    && cargo build --profile "$PROFILE" --locked \
    && strip -o revoker "target/$PROFILE/revoker"

# glibc, libgcc and the certificate authorities; no shell, no package manager, not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /revoker/revoker /usr/local/bin/revoker
# Nothing outside of a container can reach its loopback.
ENV REVOKER_ADMIN__LISTEN=0.0.0.0:9464
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/revoker", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/revoker"]
CMD ["run"]
