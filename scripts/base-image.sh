# shellcheck shell=bash
# The base image of our images: Debian's own where a registry can be reached, else one made on the spot.
# Needs say.sh and install.sh.

readonly PUBLIC_BASE=debian:trixie-slim
readonly LOCAL_BASE=satis-base:trixie # never somebody else's name: it would pass for theirs

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# The tar goes through a file: in a pipe, a mmdebstrap that failed half way would still leave an image.
# The path-excludes are those of debian:trixie-slim; they hold for what is installed on top, too. No mirror is named:
# mmdebstrap takes Debian's own, with updates and security (tried: 1.3.5 and 1.5.7).
make_local_base() {
  local tar
  tar=$(mktemp --suffix=.tar) || return
  as_root mmdebstrap --quiet --variant=minbase \
    --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    trixie "$tar" &&
    docker import "$tar" "$LOCAL_BASE"
  local status=$?
  rm -f "$tar"
  return $status
}

# ensure_base_image MODE (install or ask): sets BASE_IMAGE; one that was given is left alone.
# What is on the machine already is taken before the network is asked, so that a second build finds the same layers.
ensure_base_image() {
  if [ -n "${BASE_IMAGE:-}" ]; then return; fi
  for BASE_IMAGE in "$LOCAL_BASE" "$PUBLIC_BASE"; do
    if has_image "$BASE_IMAGE"; then return; fi
  done
  say "Fetching $PUBLIC_BASE"
  if timeout 90 docker pull --quiet "$PUBLIC_BASE" >/dev/null 2>&1; then return; fi
  say "No registry gives $PUBLIC_BASE here, so $LOCAL_BASE is made from Debian's packages, once"
  ensure_commands "$1" mmdebstrap:mmdebstrap
  BASE_IMAGE=$LOCAL_BASE
  step "Making $LOCAL_BASE" make_local_base || fail "the base image could not be made; are Debian's packages reachable?"
}
