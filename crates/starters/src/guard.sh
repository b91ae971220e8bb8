# Runs a program and ends it, with everything below it, when standard input closes: so nothing outlives the
# test that started it, however that test ends. Arguments: seconds to wait after TERM, program, its arguments.
grace=$1
shift

tree() {
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
    echo "$child"
    tree "$child"
  done
}

# A zombie counts as gone: its parent only has not looked yet.
alive() {
  grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status"
}

# First TERM for the program, which may want to end its own children in order; when it is gone or its time is
# over, KILL for whatever is left of it and of what was below it.
end_all() {
  below=$(tree "$program")
  kill -TERM "$program" 2>/dev/null
  limit=$(($(date +%s) + grace))
  while alive "$program" && [ "$(date +%s)" -le "$limit" ]; do
    sleep 0.05
  done
  for process in "$program" $below $(tree "$program"); do
    kill -KILL "$process" 2>/dev/null
  done
  # Killed is not yet gone.
  for process in "$program" $below; do
    tries=100
    while alive "$process" && [ "$tries" -gt 0 ]; do
      sleep 0.02
      tries=$((tries - 1))
    done
  done
}

ending=
trap 'ending=1' USR1
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
{
  read -r _ <&3
  kill -USR1 $$
} &
watcher=$!

wait "$program"
status=$?
if [ -n "$ending" ]; then
  end_all
else
  kill "$watcher" 2>/dev/null
fi
exit "$status"
