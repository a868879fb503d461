#!/usr/bin/env bash
# Runs the tests. The exit code is 0 only if every part passed; the first one that fails is the last one run.
#
#   ./run-tests.sh [--install] [PART...]
#
#   PART: all of these, unless some are named
#     lint          style, types, layers, the shell scripts
#     unit          a minute; needs no Docker
#     contract      the wire's words; needs no Docker
#     integration   real gunicorn, real rathole, the real engine
#     e2e           the built image on real Docker
#
#   and, where they are named:
#     long                 what e2e and integration do once or for a moment: every kill 20 times, every outage in its full
#                          length, 100 saved stops: an hour and a quarter
#     chaos COUNT [SEED]   so many random faults against five servers with players, e.g. 300: an hour. The seed is
#                          printed; with it the same faults happen again.
#
# Not on a host where people play: the tests take satis_network away for a while, and build the agent's image anew.
#
#   --install   install what is missing (Python, Docker, shellcheck) from the distribution's packages, and start the engine
#   --help      this text
#
# RATHOLE_CLIENT_BINARY names a rathole 0.5.0 to test with; by default it is the one in the agent's image.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

source scripts/say.sh
source scripts/install.sh
source scripts/base-image.sh
source scripts/build.sh

readonly PARTS=(lint unit contract integration e2e)
readonly MORE_PARTS=(long chaos)
readonly VENV=.venv

usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; }

# find_python: sets PYTHON to one that the locked dependencies are made for, and that can make a venv.
find_python() {
  for PYTHON in python3 python3.13 python3.12 python3.11; do
    if "$PYTHON" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      return
    fi
  done
  return 1
}

make_venv() {
  if "$VENV/bin/python" -c 'import pip' 2>/dev/null; then return; fi
  if ! find_python; then
    install_packages "$1" python3 python3-venv
    find_python || fail "no Python from 3.11 to 3.13 that can make a venv (python3 -m venv) was found here"
  fi
  step "Making $VENV with $PYTHON" "$PYTHON" -m venv --clear "$VENV" || fail "the venv could not be made; the reason stands above"
}

# A venv's pip brings CA certificates of its own; a proxy that inspects TLS is known to the host's bundle only.
use_host_certificates() {
  local bundle=/etc/ssl/certs/ca-certificates.crt
  if [ -z "${PIP_CERT:-}" ] && [ -f "$bundle" ]; then export PIP_CERT=$bundle; fi
}

ensure_venv() {
  local locked
  make_venv "$1"
  locked=$(sha256sum requirements-dev.txt)
  if [ "$(cat "$VENV/installed" 2>/dev/null)" = "$locked" ]; then return; fi
  use_host_certificates
  step "Installing the locked dependencies into $VENV" \
    "$VENV/bin/python" -m pip install --quiet --require-hashes --requirement requirements-dev.txt ||
    fail "the dependencies could not be installed; the reason stands above"
  printf '%s\n' "$locked" >"$VENV/installed"
}

# ensure_rathole: the very binary of the image, unless another was named.
ensure_rathole() {
  local image container
  if [ -n "${RATHOLE_CLIENT_BINARY:-}" ]; then return; fi
  image=$(docker image inspect --format '{{.Id}}' "$AGENT_IMAGE")
  if [ "$(cat build/rathole/image 2>/dev/null)" != "$image" ]; then
    mkdir -p build/rathole
    container=$(docker create "$AGENT_IMAGE")
    docker cp "$container:/usr/local/bin/rathole" build/rathole/rathole
    docker rm "$container" >/dev/null
    printf '%s\n' "$image" >build/rathole/image
  fi
  export RATHOLE_CLIENT_BINARY=$PWD/build/rathole/rathole
}

# prepare PART MODE: what that part needs beside the venv. Just before the part, so that a fault of style is known before an
# image is built.
prepare() {
  case $1 in
    lint) ensure_commands "$2" shellcheck:shellcheck ;;
    unit | contract) ;;
    *) prepare_docker "$2" ;;
  esac
}

# Once: the parts after the first find it done.
docker_is_prepared=''
prepare_docker() {
  if [ -n "$docker_is_prepared" ]; then return; fi
  ensure_engine "$1"
  ensure_commands "$1" openssl:openssl
  build_agent_image "$1"
  build_standin_image "$1"
  build_engine_image "$1"
  ensure_rathole
  docker_is_prepared=yes
}

lint() {
  say "ruff" && "$VENV/bin/ruff" check . && "$VENV/bin/ruff" format --check . &&
    say "mypy" && "$VENV/bin/mypy" &&
    say "lint-imports" && "$VENV/bin/lint-imports" &&
    say "shellcheck" && shellcheck ./*.sh .ci/run scripts/*.sh scripts/image/*.sh standin/*.sh
}

# The orchestrator's outages take an hour, and nothing but time; so the others are tried meanwhile.
long() {
  local failed='' log=build/long-integration.log
  mkdir -p build
  export SATIS_LONG=1
  "$VENV/bin/python" -m pytest -m long tests/integration >"$log" 2>&1 &
  outages=$!
  trap 'kill "$outages"' EXIT
  "$VENV/bin/python" -m pytest -m long tests/e2e || failed=yes
  say "The outages of the orchestrator, which went on meanwhile; their output comes at their end ..."
  wait "$outages" || failed=yes
  trap - EXIT
  cat "$log"
  [ -z "$failed" ]
}

# run_part PART COUNT_AND_SEED...
run_part() {
  say "== $1"
  case $1 in
    lint) lint ;;
    long) long ;;
    chaos) "$VENV/bin/python" -m tests.chaos "${@:2}" ;;
    *) "$VENV/bin/python" -m pytest "tests/$1" ;;
  esac || fail "part $1 failed; what is wrong stands above"
}

# among WORD LIST...
among() {
  local word=$1
  shift
  [[ " $* " == *" $word "* ]]
}

main() {
  local mode=ask part parts=() faults=()
  while [ $# -gt 0 ]; do
    case $1 in
      --install) mode=install ;;
      -h | --help) usage && return ;;
      chaos)
        [[ ${2:-} =~ ^[0-9]+$ ]] || fail "say how many faults, e.g. $0 chaos 300; see $0 --help"
        parts+=(chaos)
        while [[ ${2:-} =~ ^[0-9]+$ ]]; do faults+=("$2") && shift; done
        ;;
      *)
        among "$1" "${PARTS[@]}" "${MORE_PARTS[@]}" || fail "unknown part or option $1; see $0 --help"
        parts+=("$1")
        ;;
    esac
    shift
  done
  if [ ${#parts[@]} -eq 0 ]; then parts=("${PARTS[@]}"); fi
  ensure_venv "$mode"
  for part in "${parts[@]}"; do
    prepare "$part" "$mode"
    run_part "$part" "${faults[@]}"
  done
}

main "$@"
