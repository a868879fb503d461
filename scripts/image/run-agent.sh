#!/usr/bin/env bash
# The container's run loop, between tini and gunicorn: were gunicorn tini's own child, the container and every tunnel in
# it would go when gunicorn's master is killed. Starts it again, the first time at once and then with backoff, hands
# SIGTERM on and waits for it, and passes exit code 2 (settings that cannot be used, said in words) on to Docker.
set -uo pipefail

readonly FIRST_DELAY_MS=100 LONGEST_DELAY_MS=30000
readonly STEADY_SECONDS=5 # so long a run makes the next start the first again: it can serve

child='' stopping=''

hand_on() {
  stopping=yes
  if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null; fi
}
trap hand_on TERM INT

# A trapped signal ends `wait` early, hence the loop; a further `wait` for a child that is gone gives its exit code.
await_child() {
  wait "$child"
  while kill -0 "$child" 2>/dev/null; do wait "$child"; done
  wait "$child"
}

run_once() {
  gunicorn -c gunicorn.conf.py 'agent:create_app()' &
  child=$!
  if [ -n "$stopping" ]; then hand_on; fi # the signal came between the two lines above
  await_child
  status=$?
  child=''
}

pause_ms() {
  sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" &
  child=$!
  if [ -n "$stopping" ]; then hand_on; fi
  await_child
  child=''
}

delay=0
while :; do
  started=$SECONDS
  run_once
  if [ -n "$stopping" ] || [ $status -eq 2 ]; then exit $status; fi
  if [ $((SECONDS - started)) -ge $STEADY_SECONDS ]; then delay=0; fi
  # Aside: with live-restore and dockerd away nobody reads it, and once the pipe is full, who writes waits.
  echo "gunicorn ended with exit code $status; it is started again in $delay ms" >&2 &
  pause_ms $delay
  if [ -n "$stopping" ]; then exit 0; fi
  delay=$((delay == 0 ? FIRST_DELAY_MS : delay * 2 < LONGEST_DELAY_MS ? delay * 2 : LONGEST_DELAY_MS))
done
