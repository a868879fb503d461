# shellcheck shell=bash
# The demo: agent, edge and a stand-in game on this one host, beside a real deployment and without touching it. Needs all
# the other scripts.

readonly DEMO_SERVER=srv_demo_00000001
readonly DEMO_DATA=/var/lib/satis-demo
readonly DEMO_EDGE=satis-edge-demo

# write_demo_settings: its own keys, ports, names and data; kept, with what somebody changed there, from one demo to the
# next.
write_demo_settings() {
  if [ -e "$ENV_FILE" ]; then return; fi
  (
    umask 077
    cat >"$ENV_FILE.new" <<END
SATIS_ENV_FILE=.demo.env
SATIS_NAME_SUFFIX=-demo
NODE_ID=demo
SATIS_DATA_DIR=$DEMO_DATA
GAME_SERVER_IMAGE=$STANDIN_IMAGE
HOST_AGENT_BIND=127.0.0.1
HOST_AGENT_PORT=18082
HOST_AGENT_API_KEY=$(random_key)
ORCHESTRATOR_HOST=
RATHOLE_INSTANCE_MANAGER_HOST=$DEMO_EDGE
RATHOLE_INSTANCE_MANAGER_PORT=7001
RATHOLE_TOKEN=$(random_key)
RATHOLE_PUBLIC_HOST=127.0.0.1
EDGE_PORTS=31800-31809
END
  )
  mv "$ENV_FILE.new" "$ENV_FILE"
}

# The server takes the edge's first two public ports.
demo_game_port() {
  local range
  range=$(setting "$ENV_FILE" EDGE_PORTS)
  printf '%d' "${range%%-*}"
}

demo_messaging_port() { printf '%d' $(($(demo_game_port) + 1)); }

# refuse_clashes: the demo never touches what it did not make.
refuse_clashes() {
  local folder
  refuse_foreign "$AGENT_CONTAINER"
  refuse_foreign "$DEMO_EDGE"
  restore_names "$AGENT_CONTAINER" "$DEMO_EDGE" satis-network-setup-demo
  folder=$(container_field "$DEMO_SERVER" 'x{{index .Config.Labels "com.docker.compose.project.working_dir"}}')
  if [ -n "$folder" ] && [[ $folder != "x$DEMO_DATA/"* ]]; then
    fail "a container named $DEMO_SERVER is there already, and the demo did not make it; it is left alone"
  fi
  if ! is_running "$AGENT_CONTAINER"; then refuse_taken_ports "$(setting "$ENV_FILE" HOST_AGENT_PORT)"; fi
  if ! is_running "$DEMO_EDGE"; then refuse_taken_ports "$(demo_game_port)" "$(demo_messaging_port)"; fi
}

spawn_demo_server() {
  ask_agent POST /api/containers/spawn 180 <<END
{"serverId": "$DEMO_SERVER", "serverName": "Demo", "gamePort": $(demo_game_port), "beaconPort": $(demo_messaging_port),
 "ramAllocation": 1, "cpuAllocation": 1, "maxPlayers": 4, "serverPassword": null, "environmentVariables": {}}
END
}

# probe_demo: from this host to the edge's public ports, as a player would; a line for each of the three ways.
probe_demo() {
  docker run --rm --network host "$AGENT_IMAGE" \
    python -m satisfactory.probe 127.0.0.1 "$(demo_game_port)" "$(demo_messaging_port)" --within 60
}

demo_up() {
  ensure_engine "$1"
  write_demo_settings
  refuse_bad_port "$(api_port)"
  refuse_clashes
  build_agent_image "$1"
  build_standin_image "$1"
  ensure_network "com.docker.compose.project=$PROJECT"
  check_settings
  start_agent --profile demo
  step "Provisioning $DEMO_SERVER" spawn_demo_server ||
    fail "the agent did not provision $DEMO_SERVER; its answer stands above, its log: docker logs $AGENT_CONTAINER"
  say "Asking $DEMO_SERVER through the tunnel, at the edge's public ports:"
  probe_demo || fail "not all three ways answered. Look at: docker logs $AGENT_CONTAINER; docker logs $DEMO_EDGE"
  say "The demo works. Look around: docker ps; docker logs -f $AGENT_CONTAINER. Remove it: $0 --demo --down"
}

# demo_containers: the games that the demo's agent made, known by the folder of their compose file.
demo_containers() {
  local id folder
  for id in $(docker ps --all --quiet --filter label=com.docker.compose.project.working_dir); do
    folder=$(container_field "$id" '{{index .Config.Labels "com.docker.compose.project.working_dir"}}')
    if [[ $folder == "$DEMO_DATA/"* ]]; then container_field "$id" '{{.Name}}'; fi
  done
}

# remove_demo_network: only when the demo made it, and nothing, not even a stopped container, is on it.
remove_demo_network() {
  local owner
  owner=$(docker network inspect --format '{{index .Labels "com.docker.compose.project"}}' "$NETWORK" 2>/dev/null) || return 0
  if [ "$owner" = "$PROJECT" ] && [ -z "$(docker ps --all --quiet --filter "network=$NETWORK")" ]; then
    docker network rm "$NETWORK" >/dev/null
  fi
}

# In a container, as the games' files are not this user's. Docker makes the folder again when it mounts it: hence its parent.
remove_demo_data() {
  if [ ! -e "$DEMO_DATA" ]; then return; fi
  docker run --rm --volume "$(dirname "$DEMO_DATA"):/parent" "$AGENT_IMAGE" rm -rf "/parent/$(basename "$DEMO_DATA")"
}

# demo_down: everything but the images goes. The agent first: it would bring its games back.
demo_down() {
  local names
  refuse_foreign "$AGENT_CONTAINER"
  refuse_foreign "$DEMO_EDGE"
  restore_names "$AGENT_CONTAINER" "$DEMO_EDGE" satis-network-setup-demo
  remove_containers "$AGENT_CONTAINER" "$DEMO_EDGE" satis-network-setup-demo
  mapfile -t names < <(demo_containers)
  remove_containers "${names[@]#/}"
  remove_demo_network
  remove_demo_data
  rm -f "$ENV_FILE"
  say "The demo is gone. $(what_stays)"
}

# what_stays: images, the largest of them what rathole was compiled in. Those without a name are steps of the builds.
what_stays() {
  local image images=()
  for image in "$AGENT_IMAGE" "$STANDIN_IMAGE" "$RATHOLE_IMAGE" "$LOCAL_BASE"; do
    if has_image "$image"; then images+=("$image"); fi
  done
  if [ ${#images[@]} -eq 0 ]; then return; fi
  say "Images stay, so that another demo or a deployment needs no minutes (1.5 GB in all)." \
    "To remove them, where no agent is deployed here: docker image rm ${images[*]} && docker image prune"
}
