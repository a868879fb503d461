# shellcheck shell=bash
# Reads and writes the settings files (.env, .demo.env). Needs say.sh. Values go through builtins only: a secret in the
# command line of a child could be read by everybody.

# setting FILE NAME: its value, the last one where it stands twice; nothing where it is not set.
setting() {
  local line value=''
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ $line == "$2="* ]]; then value=${line#*=}; fi
  done <"$1"
  printf '%s' "$value"
}

# set_setting FILE NAME VALUE: in the place of its line, commented out or not, else at the end; mode 0600, atomically.
set_setting() {
  local file=$1 name=$2 value=$3 line new written=''
  new=$(mktemp "$file.XXXXXX")
  while IFS= read -r line || [ -n "$line" ]; do
    if [[ $line == "$name="* || $line == "#$name="* ]]; then
      if [ -n "$written" ]; then continue; fi
      line=$name=$value written=yes
    fi
    printf '%s\n' "$line"
  done <"$file" >"$new"
  if [ -z "$written" ]; then printf '%s=%s\n' "$name" "$value" >>"$new"; fi
  mv "$new" "$file"
}

random_key() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# placeholders FILE: the names of the settings that still hold what .env.example has for them.
placeholders() { sed -n 's/^\([A-Z_]*\)=change-me.*/\1/p' "$1"; }

refuse_placeholders() {
  local names
  names=$(placeholders "$1")
  if [ -n "$names" ]; then
    fail "$1 still holds the placeholder of: ${names//$'\n'/, }. Set a value of your own, e.g. that of 'openssl rand -hex 32'"
  fi
}

# make_settings: .env from .env.example, where there is none.
make_settings() {
  local name
  if [ -e .env ]; then return; fi
  (umask 077 && cp .env.example .env)
  for name in $(placeholders .env); do set_setting .env "$name" "$(random_key)"; done
  # The container's own host name is the same on every host.
  set_setting .env NODE_ID "$(uname -n)"
  set_setting .env COMPOSE_PROJECT_NAME satis
  say "Made .env with a random key"
  ask_for_orchestrator
}

# The orchestrator in the field sends no key, so its address goes among the trusted networks as well.
ask_for_orchestrator() {
  local host address
  if ! { [ -t 0 ] && [ -t 1 ]; }; then
    say "No orchestrator is set; where there is one, set ORCHESTRATOR_HOST and HOST_AGENT_TRUSTED_NETWORKS in .env"
    return
  fi
  read -r -p "Address or name of the orchestrator (empty: there is none): " host
  if [ -z "$host" ]; then return; fi
  set_setting .env ORCHESTRATOR_HOST "$host"
  address=$(getent ahostsv4 "$host" | { read -r first _ && printf '%s' "$first"; }) ||
    { say "$host has no IPv4 address here; set HOST_AGENT_TRUSTED_NETWORKS in .env if it sends no key"; return; }
  set_setting .env HOST_AGENT_TRUSTED_NETWORKS "$address/32"
}

# Those of bridges, a line each; the docker client adds empty ones. A macvlan's would be that of the LAN.
docker_subnets() {
  local networks
  mapfile -t networks < <(docker network ls --quiet --filter driver=bridge)
  docker network inspect --format '{{range .IPAM.Config}}{{println .Subnet}}{{end}}' "${networks[@]}" | grep .
}

# find_advertise_address: the source address of this host's route to the orchestrator. Asked from a container on the
# host's network, as a bare Debian has no tool for it; no packet is sent.
find_advertise_address() {
  local target subnets found address subnet
  if [ -n "$(setting .env ADVERTISE_ADDRESS)" ] || [ "$(setting .env USE_HOSTNAME_REGISTRATION)" = true ]; then return; fi
  target=$(setting .env ORCHESTRATOR_HOST)
  mapfile -t subnets < <(docker_subnets)
  found=$(docker run --rm --network host "$AGENT_IMAGE" \
    python -c "$SOURCE_ADDRESS" "${target:-192.0.2.1}" "${subnets[@]}") ||
    { say "This host's address was not found; set ADVERTISE_ADDRESS in .env if an orchestrator shall reach it"; return; }
  read -r address subnet <<<"$found"
  set_setting .env ADVERTISE_ADDRESS "$address"
  say "This host's address is $address (ADVERTISE_ADDRESS in .env)"
  if [ -n "$subnet" ]; then
    say "Only containers of this host reach it there (Docker's $subnet); where others shall, set ADVERTISE_ADDRESS yourself"
  fi
}

# Prints the address, and behind it the network that it is of, if it is one of those given.
readonly SOURCE_ADDRESS='import ipaddress, socket, sys
route = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    route.connect((sys.argv[1], 9))
except OSError:
    sys.exit(1)
address = route.getsockname()[0]
subnets = (subnet for subnet in sys.argv[2:] if ipaddress.ip_address(address) in ipaddress.ip_network(subnet))
print(address, *subnets)'
