# shellcheck shell=bash
# A Slurm of one node on the loopback, for tests; to be sourced. It needs no root, touches no file
# outside its folder and no other Slurm: own ports, own key, own sockets.
#
#   cluster_start FOLDER    exports SLURM_CONF; from then on sbatch, squeue ... speak to this Slurm
#   cluster_stop            ends its jobs and daemons
#
# Jobs of the partition `urgent` pre-empt those of `cheap`, the default: these get their signal, have 30 s, and
# are requeued.

PATH="$PATH:/usr/sbin:/sbin" # where Debian keeps the daemons

# Installs what is missing where that is possible, and otherwise says what to install.
cluster_need() {
    local missing=() program
    for program in slurmctld slurmd sbatch munged; do
        command -v "$program" >/dev/null 2>&1 || missing+=("$program")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        echo "installing slurm-wlm and munge (missing: ${missing[*]})"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null
    else
        echo "missing: ${missing[*]}; Debian, Ubuntu: apt-get install slurm-wlm munge (as root)" >&2
        return 1
    fi
}

# A TCP port of the loopback that nobody listens on, from $1 upwards.
free_port() {
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}

cluster_start() {
    cluster_folder=$1
    cluster_daemons=()
    local host user first_port controller_port node_port
    host=$(hostname -s)
    user=$(id -un)
    first_port=$((10000 + $$ % 5000 * 4)) # of its own for every test that runs
    controller_port=$(free_port "$first_port")
    node_port=$(free_port $((controller_port + 1)))
    mkdir -p "$cluster_folder"/{munge,state,spool}
    chmod 755 "$cluster_folder" "$cluster_folder"/*

    (umask 077 && head -c 1024 /dev/urandom >"$cluster_folder/munge/key")
    munged --foreground --key-file="$cluster_folder/munge/key" --socket="$cluster_folder/munge/socket" \
        --pid-file="$cluster_folder/munge/pid" --seed-file="$cluster_folder/munge/seed" \
        --log-file="$cluster_folder/munge/log" >"$cluster_folder/munged.log" 2>&1 &
    cluster_daemons+=($!)

    # `cred_expire` is also how long a requeued job waits: two minutes unless told otherwise.
    cat >"$cluster_folder/slurm.conf" <<TEXT
ClusterName=one_node
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$cluster_folder/munge/socket,cred_expire=5
StateSaveLocation=$cluster_folder/state
SlurmdSpoolDir=$cluster_folder/spool
SlurmctldPidFile=$cluster_folder/slurmctld.pid
SlurmdPidFile=$cluster_folder/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
PriorityType=priority/basic
JobRequeue=1
KillWait=10
ReturnToService=2
NodeName=node NodeHostname=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
PartitionName=cheap Nodes=node Default=YES PriorityTier=1 GraceTime=30 State=UP
PartitionName=urgent Nodes=node PriorityTier=2 PreemptMode=OFF State=UP
TEXT
    export SLURM_CONF="$cluster_folder/slurm.conf"
    wait_for 20 "munged" test -S "$cluster_folder/munge/socket"
    slurmctld -D >"$cluster_folder/slurmctld.log" 2>&1 &
    cluster_daemons+=($!)
    slurmd -D -N node >"$cluster_folder/slurmd.log" 2>&1 &
    cluster_daemons+=($!)
    wait_for 40 "the node" cluster_is_idle
}

cluster_is_idle() { [ "$(sinfo -h -p cheap -o %T 2>/dev/null)" = idle ]; }

cluster_is_empty() { [ -z "$(squeue -h 2>/dev/null)" ]; }

cluster_stop() {
    if [ -n "${SLURM_CONF:-}" ] && ! cluster_is_empty; then
        scancel --user="$(id -un)" 2>/dev/null
        wait_for 20 "the jobs' end" cluster_is_empty
    fi
    local i
    for ((i = ${#cluster_daemons[@]} - 1; i >= 0; i--)); do # the authentication goes last
        kill "${cluster_daemons[i]}" 2>/dev/null
        wait "${cluster_daemons[i]}" 2>/dev/null
    done
    cluster_daemons=()
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds; an error after so many seconds.
wait_for() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@"; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "waited $seconds s in vain for $what" >&2
            return 1
        fi
        sleep 0.2
    done
}
