# shellcheck shell=bash
# What is looked at before an agent that runs is touched: the tunnels live in it. Needs say.sh, build.sh, settings.sh and
# compose.sh. The caller sets PROJECT, ENV_FILE and AGENT_CONTAINER.

# What the scripts and the compose file read beside what .env.example documents.
readonly MORE_SETTINGS=' COMPOSE_PROJECT_NAME SATIS_ENV_FILE SATIS_NAME_SUFFIX '

# refuse_settings SENTENCE...
refuse_settings() {
  local agent=''
  if is_running "$AGENT_CONTAINER"; then agent='The running agent was left as it is.'; fi
  fail "$*" "$agent"
}

warn_of_unknown_settings() {
  local line name
  while IFS= read -r line || [ -n "$line" ]; do
    [[ $line =~ ^[[:space:]]*([A-Za-z_][A-Za-z0-9_]*)= ]] || continue
    name=${BASH_REMATCH[1]}
    if [[ $MORE_SETTINGS == *" $name "* ]] || grep -q "^#\{0,1\}$name=" .env.example; then continue; fi
    say "Warning: $name in $ENV_FILE is not among the settings of .env.example; is it misspelt?"
  done <"$ENV_FILE"
}

warn_of_missing_network() {
  local name
  name=$(setting "$ENV_FILE" ORCHESTRATOR_NETWORK)
  if [ -z "$name" ] || docker network inspect "$name" >/dev/null 2>&1; then return; fi
  say "Warning: there is no Docker network $name (ORCHESTRATOR_NETWORK in $ENV_FILE); the agent joins it once it is there"
}

# Compose takes the agent away before the engine refuses such a port.
refuse_bad_port() {
  if ! [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] || [ "$1" -gt 65535 ]; then
    refuse_settings "HOST_AGENT_PORT in $ENV_FILE must be a number from 1 to 65535, without quotes."
  fi
}

# Whether it is an address of this host tells the kernel best; a bare Debian has no tool for it, a container does.
refuse_bad_bind() {
  local bind
  bind=$(setting "$ENV_FILE" HOST_AGENT_BIND)
  if [ -z "$bind" ] || [ "$bind" = 0.0.0.0 ]; then return; fi
  docker run --rm --network host "$AGENT_IMAGE" python -c "$BIND" "$bind" 2>/dev/null ||
    refuse_settings "HOST_AGENT_BIND in $ENV_FILE is $bind, which is no address of this host." \
      "Set one of its own, or 0.0.0.0 for all of them."
}
readonly BIND='import ipaddress, socket, sys
address = ipaddress.ip_address(sys.argv[1].strip("[]"))
socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET).bind((str(address), 0))'

# check_settings: by the new image, with the very file that gunicorn reads first, which ends with 2 and says why. By
# Compose, as it alone reads the settings file as the agent will get it, and mounts the data.
check_settings() {
  local said log status=0
  log=$(mktemp --tmpdir satis-deploy.XXXXXX)
  say "Checking the settings ..."
  said=$(compose run --rm --no-deps -T agent sh -c 'exec python gunicorn.conf.py 2>&1' </dev/null 2>"$log") || status=$?
  if [ $status -ne 0 ] && [ $status -ne 2 ]; then tail -n 10 "$log" >&2; fi
  rm -f "$log"
  if [ $status -eq 0 ]; then return; fi
  printf '%s\n' "$said" >&2
  refuse_settings "$AGENT_CONTAINER cannot start with $ENV_FILE as it is; correct what stands above and run this again."
}
