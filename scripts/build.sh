# shellcheck shell=bash
# Builds our images. Needs say.sh, install.sh and base-image.sh; runs in the repository's root.

readonly AGENT_IMAGE=satis-host-agent:latest
readonly STANDIN_IMAGE=satis-standin:latest
readonly RATHOLE_IMAGE=satis-rathole:0.5.0
readonly ENGINE_IMAGE=satis-engine:latest

CA_BUNDLES=(/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt) # Debian's and Red Hat's

# A proxy that inspects TLS is known to the host's CA bundle only; the builder stages get it, the images do not.
copy_ca_bundle() {
  local bundle
  mkdir -p build
  for bundle in "${CA_BUNDLES[@]}"; do
    if [ -f "$bundle" ]; then
      cmp -s "$bundle" build/ca-certificates.crt || cp -L "$bundle" build/ca-certificates.crt
      return
    fi
  done
}

# The builder's cache counts a file's mode, and that of a checkout depends on the umask of whoever made it.
even_modes() {
  chmod 755 scripts/image/build-rathole.sh
  chmod 644 requirements.txt
  if [ -f build/ca-certificates.crt ]; then chmod 644 build/ca-certificates.crt; fi
}

# build_image WORDS NAME DOCKERFILE [OPTION...]: nothing is done again that is done already (the builder's cache).
build_image() {
  step "$1" docker build --build-arg "BASE_IMAGE=$BASE_IMAGE" --tag "$2" --file "$3" "${@:4}" . ||
    fail "$2 could not be built; the builder's last words stand above"
}

build_agent_image() {
  ensure_base_image "$1"
  copy_ca_bundle
  even_modes
  # With a name of its own, a `docker image prune` does not take what took minutes.
  local rathole="Building $RATHOLE_IMAGE (the first time compiles it: some minutes)"
  if has_image "$RATHOLE_IMAGE"; then rathole="Looking whether $RATHOLE_IMAGE, which is there, must be built anew"; fi
  build_image "$rathole" "$RATHOLE_IMAGE" Dockerfile --target rathole
  build_image "Building $AGENT_IMAGE" "$AGENT_IMAGE" Dockerfile
}

build_standin_image() {
  ensure_base_image "$1"
  build_image "Building $STANDIN_IMAGE, a stand-in for the game" "$STANDIN_IMAGE" standin/Dockerfile
}

build_engine_image() {
  ensure_base_image "$1"
  build_image "Building $ENGINE_IMAGE, an engine for the tests to break" "$ENGINE_IMAGE" tests/e2e/nested/Dockerfile
}
