#!/usr/bin/env bash
# The one-shot service network-setup: says in a line what satis_network is, and ends with 1 and a sentence where the
# agent could reach no server on it.
set -euo pipefail

readonly NETWORK=satis_network

refuse() {
  echo "$NETWORK: $*" >&2
  exit 1
}

mapfile -t ids < <(docker network ls --quiet --no-trunc --filter "name=^$NETWORK\$")
if [ ${#ids[@]} -ne 1 ]; then
  refuse "there are ${#ids[@]} networks of this name, and Docker refuses an ambiguous one." \
    "Remove the empty ones with 'docker network rm <id>': ${ids[*]}"
fi

field() { docker network inspect --format "$1" "${ids[0]}"; }
driver=$(field '{{.Driver}}')
subnet=$(field '{{range .IPAM.Config}}{{.Subnet}} {{end}}')
attachable=$(field '{{.Attachable}}')
members=$(field '{{range .Containers}}{{.Name}} {{end}}')
icc=$(field '{{index .Options "com.docker.network.bridge.enable_icc"}}')

[[ $driver == bridge || $driver == overlay ]] ||
  refuse "its driver is $driver, which has no names by which to find a server. Make it anew with driver bridge"
[[ $driver != overlay || $attachable == true ]] ||
  refuse "it is an overlay that containers cannot join. Make it anew with --attachable"
[[ $icc != false ]] ||
  refuse "its containers may not speak to each other (enable_icc=false). Make it anew without that option"
[[ $(field '{{.Internal}}') == false ]] ||
  refuse "it is internal: neither the agent nor a game would reach the world. Make it anew without --internal"

echo "$NETWORK: driver $driver, subnet ${subnet:-none }attachable $attachable, on it: ${members:-nobody}"
