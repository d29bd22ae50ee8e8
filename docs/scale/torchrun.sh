#!/usr/bin/env bash
# One run on several machines. Each of them calls this script with the same words, and it begins the run or goes on:
#
#   NODES=2 NODE_RANK=0 MASTER_ADDR=first RUN=/shared/runs/clips bash torchrun.sh unet-moving-mnist-large
#   NODES=2 NODE_RANK=1 MASTER_ADDR=first RUN=/shared/runs/clips bash torchrun.sh unet-moving-mnist-large
#
#   RUN          the run's folder, on a file system that all machines share
#   NODES        machines; 1 if not given
#   NODE_RANK    which of them this is: 0, 1, …
#   PROCESSES    processes on each machine, as many as it has accelerators; 1 if not given
#   MASTER_ADDR  name or address of machine 0, which the others can reach
#   MASTER_PORT  a port that is free there; 29500 if not given
#   LOCAL_ADDR   address of this machine, where its own name does not lead to it
#
# Exit codes: 0 the run is finished, 2 a mistake in what was asked for, 75 it is not finished: call the script again, on
# all machines. SIGTERM and SIGINT stop the run on all of them after the step, with a checkpoint.
set -euo pipefail

: "${RUN:?should name the folder of the run}"
nodes=${NODES:-1} rank=${NODE_RANK:-0}
finished=$RUN/finished

if [ -f "$finished" ]; then
  exit 0
fi
if [ -f "$RUN/config.yaml" ]; then
  set -- --resume "$RUN"
else
  zoo run "$@" --print-config >/dev/null # a mistake is told here, once, with its exit code
  set -- "$@" --folder "$RUN"
  if [ -d "$RUN" ] && [ "$rank" = 0 ]; then # of a run that was killed before it began; rmdir spares anything else
    rm -f "$RUN/.lock" "$RUN/environment.json"
    rmdir "$RUN"
  fi
fi

# The launcher's own exit code is 1 whatever that of the training was, and 0 on machines without the first process.
torchrun \
  --nnodes "$nodes" --node-rank "$rank" --nproc-per-node "${PROCESSES:-1}" \
  --master-addr "${MASTER_ADDR:-127.0.0.1}" --master-port "${MASTER_PORT:-29500}" \
  ${LOCAL_ADDR:+--local-addr "$LOCAL_ADDR"} \
  --shutdown-timeout "${SHUTDOWN_TIMEOUT:-110}" \
  -m zoo_core run "$@" &
launcher=$!
trap 'kill -TERM "$launcher" 2>/dev/null || true' TERM INT

code=0
wait "$launcher" || code=$?
while kill -0 "$launcher" 2>/dev/null; do # a signal ended the waiting, and not the launcher
  code=0
  wait "$launcher" || code=$?
done

if [ "$rank" = 0 ] && [ "$code" = 0 ]; then
  touch "$finished"
elif [ "$code" = 0 ]; then # stopped or finished, which only machine 0 knows
  for ((second = 0; second < 30; second++)); do
    [ -f "$finished" ] && break
    sleep 1
  done
fi
[ -f "$finished" ] || exit 75
