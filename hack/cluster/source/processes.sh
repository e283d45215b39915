# shellcheck shell=bash
# Sourced: background processes, known by a file each that holds the process id and its start time.

# identity PID: the process id and the clock tick it started at, so that a reused id is never taken for ours.
identity() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return
  stat=${stat##*) } # the name before it may hold anything
  # shellcheck disable=SC2086 # it is a list of fields
  set -- "$1" $stat
  [ "$2" != Z ] && echo "$1 ${21}" # a dead process waits, as Z, until its parent looks
}

# alive NAME: whether the process called NAME runs.
alive() {
  local known
  known=$(cat "$RUN/$1.pid" 2>/dev/null) && [ "$known" = "$(identity "${known% *}")" ]
}

# start NAME COMMAND...: runs COMMAND in the background, in a process group of its own, unless it runs already.
start() {
  local name=$1
  shift
  ! alive "$name" || return 0
  setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null 9>&- & # 9 is the lock of up.sh
  identity $! >"$RUN/$name.pid"
}

# known: the names of all that has been started and not stopped.
known() { find "$RUN" -maxdepth 1 -name '*.pid' -printf '%f\n' | sed 's/\.pid$//'; }

# forget_the_dead: so that wait_for blames only what has died since.
forget_the_dead() {
  local name
  for name in $(known); do
    alive "$name" || rm "$RUN/$name.pid"
  done
}

# stop NAME: ends the process and its group, and returns when it is gone.
stop() {
  local pid tenth
  if alive "$1"; then
    pid=$(cut -d' ' -f1 "$RUN/$1.pid")
    kill -- "-$pid" || true
    for tenth in {1..100}; do
      alive "$1" || break
      [ "$tenth" != 50 ] || kill -9 -- "-$pid" || true
      sleep 0.1
    done
  fi
  rm -f "$RUN/$1.pid"
}

# wait_for SECONDS WHAT COMMAND...: repeats COMMAND until it succeeds; a process that has died ends the wait.
wait_for() {
  local end=$((SECONDS + $1)) what=$2 name
  shift 2
  until "$@" >"$LOG/wait.log" 2>&1; do
    for name in $(known); do
      alive "$name" || die "$name has ended: $(tail -n 1 "$LOG/$name.log") (log: $LOG/$name.log)"
    done
    [ "$SECONDS" -lt "$end" ] || die "waited in vain for $what: $(tail -n 1 "$LOG/wait.log") (logs: $LOG)"
    sleep 0.3
  done
}
