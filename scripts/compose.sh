# shellcheck shell=bash
# The project's own compose file, by either age of Compose; its network; and waiting for the agent. Needs say.sh and
# settings.sh. The caller sets PROJECT, ENV_FILE and AGENT_CONTAINER.

readonly NETWORK=satis_network

# compose ARGUMENT...: only the settings file is interpolated, never the caller's own environment: with SATIS_DATA_DIR
# exported in it, a demo would work on the real data.
compose() {
  local docker_settings=() command=(docker-compose)
  mapfile -t docker_settings < <(env | grep '^DOCKER_')
  if docker compose version >/dev/null 2>&1; then command=(docker compose); fi
  env -i PATH="$PATH" HOME="$HOME" "${docker_settings[@]}" \
    "${command[@]}" --project-name "$PROJECT" --env-file "$ENV_FILE" "$@"
}

# container_field NAME TEMPLATE: nothing where there is no such container.
container_field() { docker inspect --type container --format "$2" "$1" 2>/dev/null || true; }

is_running() { [ "$(container_field "$1" '{{.State.Running}}')" = true ]; }

# ensure_network [LABEL]: made with the label by which Compose 2 takes it for its own, but without a project's, so that no
# `down` takes it along: games that are stopped on it could not be started again.
ensure_network() {
  local ids
  mapfile -t ids < <(docker network ls --quiet --no-trunc --filter "name=^$NETWORK\$")
  if [ ${#ids[@]} -gt 1 ]; then
    fail "there are ${#ids[@]} networks named $NETWORK; remove the empty ones with 'docker network rm <id>': ${ids[*]}"
  fi
  if [ ${#ids[@]} -eq 0 ]; then
    docker network create --label "com.docker.compose.network=$NETWORK" ${1:+--label "$1"} "$NETWORK" >/dev/null
    say "Made the network $NETWORK"
  elif [ "$(docker network inspect --format '{{index .Labels "com.docker.compose.network"}}' "${ids[0]}")" != "$NETWORK" ] &&
    [ "$(setting "$ENV_FILE" SATIS_NETWORK_EXTERNAL)" != true ]; then
    set_setting "$ENV_FILE" SATIS_NETWORK_EXTERNAL true
    say "$NETWORK was made by others: it is used as it is (SATIS_NETWORK_EXTERNAL=true in $ENV_FILE)"
  fi
}

# refuse_foreign NAME: stops where a container of that name belongs to something else.
refuse_foreign() {
  local owner
  owner=$(container_field "$1" 'x{{index .Config.Labels "com.docker.compose.project"}}')
  if [ -n "$owner" ] && [ "$owner" != "x$PROJECT" ]; then
    owner=${owner#x}
    fail "a container named $1 is there already, of the Compose project ${owner:-(none)} and not $PROJECT;" \
      "it is left alone. Remove it (docker rm -f $1) if it is not needed"
  fi
}

# refuse_taken_ports PORT...: Docker's own error for it names no way out.
refuse_taken_ports() {
  local port
  for port in "$@"; do
    if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      fail "TCP port $port is in use on this host by something else; end that, or set another port in $ENV_FILE"
    fi
  done
}

# holds_port PORT: whether the agent that runs has published it.
holds_port() {
  local found
  found=$(container_field "$AGENT_CONTAINER" '{{.State.Running}} {{json .HostConfig.PortBindings}}')
  [[ $found == "true "*"\"$1/tcp\""* ]]
}

# restore_names NAME...: a Compose that could not replace a container leaves it behind as <12 hex digits>_NAME. It gets
# its name back, since it may run and hold the tunnels; where another has the name by now, it goes.
restore_names() {
  local name left
  for name in "$@"; do
    for left in $(docker ps --all --filter "label=com.docker.compose.project=$PROJECT" \
      --filter "name=^[0-9a-f]{12}_$name\$" --format '{{.Names}}'); do
      if [ -n "$(container_field "$name" '{{.Id}}')" ]; then
        remove_containers "$left"
      else
        docker rename "$left" "$name"
      fi
    done
  done
}

ask_agent() { docker exec --interactive "$AGENT_CONTAINER" python scripts/image/ask.py "$@"; }

until_ready() {
  local deadline=$((SECONDS + 90))
  until ask_agent GET /readyz; do
    if [[ $(container_field "$AGENT_CONTAINER" '{{.State.Status}}') =~ ^(exited|restarting|dead)$ ]]; then return 1; fi
    if [ $SECONDS -ge $deadline ]; then return 1; fi
    sleep 0.5
  done
}

# show_network_check: where it is that which failed; else its line would stand behind another reason.
show_network_check() {
  local name=satis-network-setup${AGENT_CONTAINER#satis-host-agent}
  if [[ $(container_field "$name" '{{.State.ExitCode}}') == [1-9]* ]]; then docker logs --tail 5 "$name" 2>&1 || true; fi
}

run_of_agent() { container_field "$AGENT_CONTAINER" '{{.Id}} {{.State.StartedAt}}'; }

# say_what_changed BEFORE: the run of the agent before.
say_what_changed() {
  local now
  now=$(run_of_agent)
  if [ "$1" = "$now" ]; then
    say "Nothing has changed; $AGENT_CONTAINER runs on"
  elif [ -z "$1" ]; then
    say "Made $AGENT_CONTAINER"
  elif [ "${1% *}" = "${now% *}" ]; then
    say "Started $AGENT_CONTAINER again, as it was"
  else
    say "Replaced $AGENT_CONTAINER"
  fi
}

# start_agent COMPOSE-OPTION...: changes nothing that is as it should be.
start_agent() {
  local before
  before=$(run_of_agent)
  step "Bringing $AGENT_CONTAINER up" compose "$@" up --detach || {
    show_network_check
    fail "$AGENT_CONTAINER could not be started; the reason stands above"
  }
  step "Waiting until $AGENT_CONTAINER is ready" until_ready || {
    say "The end of its log:"
    docker logs --tail 20 "$AGENT_CONTAINER" 2>&1 || true
    fail "$AGENT_CONTAINER is not ready; see its log above, correct $ENV_FILE, run this again"
  }
  say_what_changed "$before"
}

# An orderly stop first, as long as the agent may need (stop_grace_period).
stop_and_remove() { docker stop --time 45 "$1" && docker rm --force --volumes "$1"; }

# remove_containers NAME...: those that are there.
remove_containers() {
  local name
  for name in "$@"; do
    if [ -z "$(container_field "$name" '{{.Id}}')" ]; then continue; fi
    step "Stopping $name" stop_and_remove "$name" ||
      fail "$name could not be removed; the reason stands above"
  done
}
