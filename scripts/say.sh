# shellcheck shell=bash
# How the scripts speak: one line per step, a spinner (and percent, where docker build tells it) on a terminal.

say() { printf '%s\n' "$*"; }

# fail SENTENCE...: says what is wrong and what helps, and ends the script.
fail() {
  printf 'Error: %s\n' "$*" >&2
  exit 1
}

# After Ctrl-C the shell waits for the command that it runs and then would go on, as if that had failed by itself.
# Without a `local`: bash 5.2 does not come out of a trap's function that has one (tried).
interrupted() {
  # shellcheck disable=SC2046 # numbers, or none
  kill $(jobs -p) 2>/dev/null || true
  printf '\nInterrupted. Run this again to go on\n' >&2
  exit 130
}
trap interrupted INT

# percent_of LOG: " 40 %" from the last "Step 4/10" (old builder) or "[venv 4/10]" (BuildKit) of a build's log.
percent_of() {
  local done_of_all
  done_of_all=$(grep -oE '(^Step |\[[a-z ]*)[0-9]+/[0-9]+' "$1" 2>/dev/null | tail -n 1 | grep -oE '[0-9]+/[0-9]+') || return 0
  printf ' %d %%' $((100 * ${done_of_all%/*} / ${done_of_all#*/}))
}

# A script that was killed stays a zombie, which `kill -0` takes for alive, until its parent asks for it.
script_lives() { grep -qs '^State:.[^Z]' "/proc/$$/status"; }

# Ends with the script: a background job of a script does not see Ctrl-C.
spin() {
  local words=$1 log=$2 tick=0 frames='-\|/'
  while sleep 0.2 && script_lives; do
    printf '\r%s %s%s %ds \033[K' "${frames:tick++%4:1}" "$words" "$(percent_of "$log")" $((tick / 5))
  done
}

# step WORDS COMMAND...: runs COMMAND (in the foreground, so that Ctrl-C reaches it) with its output kept in a log,
# whose end is shown when it fails. Returns the command's exit code. `set -e` does not hold inside COMMAND.
step() {
  local words=$1 started=$SECONDS spinner='' log status=0
  shift
  log=$(mktemp --tmpdir satis-deploy.XXXXXX)
  if [ -t 1 ]; then
    spin "$words" "$log" &
    spinner=$!
  else
    say "$words ..."
  fi
  "$@" >"$log" 2>&1 || status=$?
  if [ -n "$spinner" ]; then
    kill "$spinner"
    wait "$spinner" 2>/dev/null || true
    printf '\r\033[K'
  fi
  report_step "$words" $status $((SECONDS - started)) "$log"
  return $status
}

report_step() {
  local words=$1 status=$2 seconds=$3 log=$4
  if [ "$status" -ne 0 ]; then
    tail -n 25 "$log" >&2
    printf '%s: failed after %d s, exit code %d; the whole output is in %s\n' "$words" "$seconds" "$status" "$log" >&2
    return
  fi
  rm -f "$log"
  if [ -t 1 ] || [ "$seconds" -ge 2 ]; then say "$words: done ($seconds s)"; fi
}

# confirm QUESTION: true when somebody at a terminal answers yes.
confirm() {
  local answer
  [ -t 0 ] && [ -t 1 ] || return 1
  read -r -p "$1 [y/N] " answer
  [[ $answer == [yY]* ]]
}
