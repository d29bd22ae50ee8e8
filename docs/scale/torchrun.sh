#!/usr/bin/env bash
# One run on several machines. Call this script with the same arguments on each; it starts or resumes the run:
#
#   NODES=2 NODE_RANK=0 MASTER_ADDR=first RUN=/shared/runs/clips bash torchrun.sh unet-moving-mnist-large
#   NODES=2 NODE_RANK=1 MASTER_ADDR=first RUN=/shared/runs/clips bash torchrun.sh unet-moving-mnist-large
#
#   RUN          folder of the run, on a file system that all machines share
#   NODES        number of machines; 1 by default
#   NODE_RANK    index of this machine: 0, 1, …
#   PROCESSES    processes per machine, one per accelerator; 1 by default
#   MASTER_ADDR  host name or address of machine 0 that the others can reach
#   MASTER_PORT  a free port on machine 0; 29500 by default
#   LOCAL_ADDR   address of this machine, if its host name does not resolve to it
#
# Exit codes: 0 the run is complete, 2 invalid arguments, 75 the run is not complete: call the script again on all
# machines. SIGTERM and SIGINT stop the run on all machines after the current step, with a checkpoint.
set -euo pipefail

: "${RUN:?must name the folder of the run}"
nodes=${NODES:-1} rank=${NODE_RANK:-0}
finished=$RUN/finished

if [ -f "$finished" ]; then
  exit 0
fi
if [ -f "$RUN/config.yaml" ]; then
  set -- --resume "$RUN"
else
  zoo run "$@" --print-config >/dev/null # reports invalid arguments once, with exit code 2
  set -- "$@" --folder "$RUN"
  # The folder may be left by a run that was killed before its first step; rmdir keeps any other content.
  if [ -d "$RUN" ] && [ "$rank" = 0 ]; then
    rm -f "$RUN/.lock" "$RUN/environment.json"
    rmdir "$RUN"
  fi
fi

export ZOO_STOP_SECONDS=${ZOO_STOP_SECONDS:-${SHUTDOWN_TIMEOUT:-110}} # for a step and its checkpoint after a signal

# The launcher exits with 1 for any exit code of the training, and with 0 on machines without rank zero.
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
while kill -0 "$launcher" 2>/dev/null; do # a signal interrupted the wait, but the launcher is still running
  code=0
  wait "$launcher" || code=$?
done

if [ "$rank" = 0 ] && [ "$code" = 0 ]; then
  touch "$finished"
elif [ "$code" = 0 ]; then # stopped or complete; only machine 0 knows which
  for ((second = 0; second < 30; second++)); do
    [ -f "$finished" ] && break
    sleep 1
  done
fi
[ -f "$finished" ] || exit 75
