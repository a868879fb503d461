# shellcheck shell=bash
# Checks what the host needs, and installs it from the distribution's packages. Needs say.sh.

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root: run the script as root, or install sudo"
  fi
}

# Never removes a package: the distribution's Docker beside docker-ce would take that engine (and its games) away.
apt_install() {
  as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-remove --no-install-recommends "$@"
}

# install_packages MODE PACKAGE...: MODE "install" installs, "ask" asks on a terminal; else names the command that helps.
install_packages() {
  local mode=$1
  shift
  local command="apt-get install --no-remove --no-install-recommends $*"
  command -v apt-get >/dev/null || fail "missing here: $*. Install that by this system's own means, then run this again"
  if [ "$mode" != install ] && ! confirm "Missing here: $*. Install from the distribution's packages?"; then
    fail "missing here: $*. Run '$command' as root, or run this again with --install"
  fi
  as_root true # where sudo asks for a password, it does so here and not under the spinner
  step "Installing $*" apt_install "$@" || fail "'$command' failed. Nothing was removed; its reason stands above"
}

# ensure_commands MODE COMMAND:PACKAGE...: installs the packages of those commands that are not there.
ensure_commands() {
  local mode=$1 pair missing=()
  shift
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  if [ ${#missing[@]} -gt 0 ]; then install_packages "$mode" "${missing[@]}"; fi
}

has_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

# A kernel with AppArmor on starts no container without its parser, which Docker's package only recommends.
needs_apparmor() {
  grep -qs Y /sys/module/apparmor/parameters/enabled && ! [ -x /sbin/apparmor_parser ]
}

# docker_packages: sets `missing`. Debian 13 has the client in a package of its own, Debian 12 within docker.io.
docker_packages() {
  missing=()
  if ! command -v dockerd >/dev/null && ! docker info >/dev/null 2>&1; then
    missing+=(docker.io)
    if needs_apparmor; then missing+=(apparmor); fi
  fi
  if ! command -v docker >/dev/null && apt-cache show docker-cli >/dev/null 2>&1; then missing+=(docker-cli); fi
  if ! has_compose; then missing+=(docker-compose); fi
}

engine_answers() { docker info >/dev/null 2>&1; }

# start_engine: by systemd, or where there is none as a process of its own.
start_engine() {
  if [ -d /run/systemd/system ]; then
    as_root systemctl enable --now docker
  else
    as_root mkdir -p /var/log &&
      as_root sh -c 'setsid dockerd >>/var/log/dockerd.log 2>&1 </dev/null &'
  fi
  local deadline=$((SECONDS + 60))
  until engine_answers; do
    [ $SECONDS -lt $deadline ] || { tail -n 15 /var/log/dockerd.log 2>/dev/null; return 1; }
    sleep 0.5
  done
}

# ensure_engine MODE: afterwards docker and a Compose are there and the engine answers, or the script has ended in words.
ensure_engine() {
  local mode=$1 missing
  docker_packages
  if [ ${#missing[@]} -gt 0 ]; then
    install_packages "$mode" "${missing[@]}"
    docker_packages # a bare system knew no package by name before: Debian 13's docker-cli is found only now
    if [ ${#missing[@]} -gt 0 ]; then install_packages install "${missing[@]}"; fi
  fi
  if engine_answers; then return; fi
  if [[ $(docker info 2>&1) == *'permission denied'* ]]; then
    fail "this user may not use Docker: run this as root, or add the user to the group docker and log in again"
  fi
  if [ "$mode" != install ] && ! confirm "The Docker engine does not run. Start it?"; then
    fail "the Docker engine does not run. Start it ('systemctl start docker' as root), or run this again with --install"
  fi
  step "Starting the Docker engine" start_engine || fail "the Docker engine did not come up within 60 s; its reason stands above"
}
