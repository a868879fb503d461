#!/usr/bin/env bash
# Brings the Satis Host Agent up on this host, and down again. Run again, it changes nothing that needs no change.
#
#   ./deploy-host-agent.sh [--install]          deploy: settings, image, container; done when the agent is ready
#   ./deploy-host-agent.sh [--install] --demo   a demo beside it: agent, VPS side and a stand-in game on this host, asked
#                                               through a real tunnel
#   ./deploy-host-agent.sh --down [--games]     take the agent away; --games stops the games first
#   ./deploy-host-agent.sh --demo --down        take the demo away; nothing of it stays but images
#
#   --install   install what is missing (Docker, Compose) from the distribution's packages, and start the engine
#   --help      this text
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

source scripts/say.sh
source scripts/install.sh
source scripts/base-image.sh
source scripts/build.sh
source scripts/settings.sh
source scripts/compose.sh
source scripts/checks.sh
source scripts/demo.sh

PROJECT=satis
ENV_FILE=.env
AGENT_CONTAINER=satis-host-agent

usage() { sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; }

deploy() {
  ensure_engine "$1"
  make_settings
  refuse_placeholders "$ENV_FILE"
  warn_of_unknown_settings
  warn_of_missing_network
  refuse_bad_port "$(api_port)"
  refuse_foreign "$AGENT_CONTAINER"
  restore_names "$AGENT_CONTAINER" satis-network-setup
  if ! holds_port "$(api_port)"; then refuse_taken_ports "$(api_port)"; fi
  build_agent_image "$1"
  refuse_bad_bind
  find_advertise_address
  ensure_network
  check_settings
  start_agent
  docker exec "$AGENT_CONTAINER" python -m scripts.image.tunnels || true # a warning, which says what to do
  say "The agent serves its API on port $(api_port). Its key: HOST_AGENT_API_KEY in $PWD/$ENV_FILE"
  say "Next: check the settings there (orchestrator, VPS), run this again after a change; see: docker logs -f $AGENT_CONTAINER"
}

api_port() {
  local port
  port=$(setting "$ENV_FILE" HOST_AGENT_PORT)
  printf '%s' "${port:-8082}"
}

stop_games() { docker exec "$AGENT_CONTAINER" python agent.py stop-games; }

# down: never `docker compose down`: that takes satis_network along when only stopped games are on it, and these could
# not be started again.
down() {
  restore_names "$AGENT_CONTAINER" satis-network-setup
  if [ -z "$(container_field "$AGENT_CONTAINER" '{{.Id}}')" ]; then
    say "There is no $AGENT_CONTAINER here; nothing to do"
    if [ -n "$1" ]; then say "Only the agent stops games: if some still run, deploy it again and use --down --games then."; fi
    return
  fi
  if [ -n "$1" ]; then
    step "Stopping the games" stop_games ||
      fail "not every game could be stopped, so the agent stays; the reason stands above"
  fi
  remove_containers "$AGENT_CONTAINER" satis-network-setup
  say "The agent is gone, and with it every tunnel: players are cut off until it is deployed again."
  if [ -z "$1" ]; then say "Games that run go on. To stop them too, deploy again and use --down --games."; fi
}

main() {
  local mode=ask demo='' down='' games=''
  while [ $# -gt 0 ]; do
    case $1 in
      --install) mode=install ;;
      --demo) demo=yes ;;
      --down) down=yes ;;
      --games) games=yes ;;
      -h | --help) usage && return ;;
      *) fail "unknown option $1; see $0 --help" ;;
    esac
    shift
  done
  if [ -n "$games" ] && { [ -z "$down" ] || [ -n "$demo" ]; }; then fail "--games goes with --down alone; see $0 --help"; fi
  if [ -n "$demo" ]; then PROJECT=satis-demo ENV_FILE=.demo.env AGENT_CONTAINER=satis-host-agent-demo; fi
  if [ -n "$down" ]; then ensure_engine "$mode"; fi
  case $demo,$down in
    yes,yes) demo_down ;;
    yes,) demo_up "$mode" ;;
    ,yes) down "$games" ;;
    *) deploy "$mode" ;;
  esac
}

main "$@"
