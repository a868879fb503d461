# shellcheck shell=bash
# Builds our images. Needs say.sh, install.sh and base-image.sh; runs in the repository's root.

readonly AGENT_IMAGE=satis-host-agent:latest
readonly STANDIN_IMAGE=satis-standin:latest

# A proxy that inspects TLS is known to the host's CA bundle only; the builder stages get it, the images do not.
copy_ca_bundle() {
  local bundle
  mkdir -p build
  for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    if [ -f "$bundle" ]; then
      cmp -s "$bundle" build/ca-certificates.crt || cp -L "$bundle" build/ca-certificates.crt
      return
    fi
  done
}

# build_image WORDS NAME DOCKERFILE: nothing is done again that is done already (the builder's cache).
build_image() {
  step "$1" docker build --build-arg "BASE_IMAGE=$BASE_IMAGE" --tag "$2" --file "$3" . ||
    fail "$2 could not be built; the builder's last words stand above"
}

build_agent_image() {
  ensure_base_image "$1"
  copy_ca_bundle
  build_image "Building $AGENT_IMAGE (the first time compiles rathole: some minutes)" "$AGENT_IMAGE" Dockerfile
}

build_standin_image() {
  ensure_base_image "$1"
  build_image "Building $STANDIN_IMAGE, a stand-in for the game" "$STANDIN_IMAGE" standin/Dockerfile
}
