#!/bin/bash
# Typed in a freshly booted Debian by `cargo xtask package-test`: from the package to a node that is connected, and back.
set -eu

said=""
say() { said=$1; echo "$SECONDS s: $1"; }
fail() { echo "FAILED: $1"; exit 1; }
# What the services said comes into the report where something did not hold.
report() {
    [ "$1" = 0 ] && return
    echo "FAILED while: $said"
    journalctl --no-pager --quiet --lines 60 --unit 'wardround-*'
}
trap 'report $?' EXIT

# Waits up to a minute until a command succeeds.
until_true() {
    local end=$((SECONDS + 60))
    while [ $SECONDS -lt $end ]; do
        if "$@" > /dev/null 2>&1; then return; fi
        sleep 0.1
    done
    fail "a minute was not enough for: $*"
}
is_gone() { ! test -e "$1"; }

# The folders are found without --dir, as the guides say.
coordinator() { sudo -u wardround-coordinator wardround coordinator "$@"; }
as_node() { sudo -u wardround-node wardround node "$@"; }
as_ada() { sudo -u ada wardround node "$@"; }
as_grace() { sudo -u grace wardround "$@"; }
asks_for() { as_ada plan list | grep "$1"; }
experiment() { as_grace experiment list --json | grep --only-matching '"experiment_id": *"[^"]*"' | head --lines 1 | cut --delimiter '"' --fields 4; }
is_completed() { as_grace experiment list | grep --word-regexp 'completed'; }
node_state() { coordinator nodes --dir /var/lib/wardround-coordinator | grep 'north'; }
is_connected() { node_state | grep --invert-match 'not connected' | grep 'connected'; }
is_away() { node_state | grep 'not connected'; }

# The machine knows its own name, which sudo asks for.
echo "127.0.0.1 localhost $(uname --nodename)" > /etc/hosts

say "install"
dpkg --install /package-test.deb
[ "$(stat --format '%U %a' /var/lib/wardround-node)" = 'wardround-node 700' ] || fail "the node's folder"
[ "$(stat --format '%U %a' /var/lib/wardround-coordinator)" = 'wardround-coordinator 700' ] || fail "the coordinator's folder"
[ "$(stat --format '%U %a' /etc/wardround/node.env)" = 'root 600' ] || fail "the configuration's mode"
test -s /usr/share/man/man1/wardround-node-start.1.gz
bash -n /usr/share/bash-completion/completions/wardround
grep --quiet '"bomFormat": "CycloneDX"' /usr/share/doc/wardround/wardround.cdx.json

say "nothing starts before it has been told whom it belongs to"
for service in wardround-coordinator wardround-node; do
    systemctl start $service
    [ "$(systemctl is-active $service)" = inactive ] || fail "$service is active"
    [ "$(systemctl show --property ConditionResult --value $service)" = no ] || fail "$service was tried"
done

say "the units are what systemd takes them for"
complaints=$(systemd-analyze verify --man=no /usr/lib/systemd/system/wardround-*.service 2>&1) || fail "$complaints"
[ -z "$complaints" ] || fail "$complaints"
for service in wardround-coordinator wardround-node; do
    systemd-analyze security --no-pager $service | tail --lines 1
done

say "make a coordinator"
coordinator init --address https://127.0.0.1:7400
systemctl enable --now wardround-coordinator 2> /dev/null
until_true test -s /var/lib/wardround-coordinator/address

say "join a node with a token"
coordinator token --role node --name north | head --lines 1 > /root/token
as_node init --join - < /root/token
as_node init --join - --dir /tmp/second < /root/token > /dev/null 2>&1 && fail "a token was good for two"
systemctl enable --now wardround-node 2> /dev/null
until_true is_connected
for service in wardround-coordinator wardround-node; do
    [ "$(systemctl is-active $service)" = active ] || fail "$service is not active"
done

say "the sandbox has the level that it has without the unit"
level() { grep --only-matching 'level [ABCD]' | head --lines 1; }
plain=$(cd /tmp && sudo -u wardround-node wardround sandbox check | level)
# The same unit with another command.
sed -e 's,^ExecStart=.*,ExecStart=/usr/bin/wardround sandbox check,' -e 's,^Type=.*,Type=oneshot,' -e '/^Restart/d' \
    -e '/^StateDirectory/d' /usr/lib/systemd/system/wardround-node.service > /run/systemd/system/attack.service
systemctl daemon-reload
systemctl start attack || fail "the sandbox does not hold in the unit: $(journalctl --no-pager --output cat --unit attack)"
inside=$(journalctl --no-pager --output cat --unit attack | level)
[ "$plain" = "$inside" ] || fail "$plain is $inside in the unit"
echo "$inside"

say "a person gives commands under their own name"
useradd ada
as_ada status > /dev/null 2>&1 && fail "a stranger is served"
usermod --append --groups wardround-node ada
install --directory --mode 750 --group wardround-node /srv/study
install --mode 640 --group wardround-node /example/north.csv /srv/study/
as_ada dataset add /srv/study/north.csv --name ward --tag breast-cancer > /dev/null
as_node audit list | grep 'dataset' | grep --quiet ':ada' || fail "the audit log does not name ada"
as_node audit verify > /dev/null
as_ada status | grep --quiet 'runs and is connected' || fail "ada does not see that the node is connected"
as_node doctor
wardround node audit report --from "$(date +%F)" --to "$(date --date tomorrow +%F)" --output /root/report.html > /dev/null
grep --quiet 'ada' /root/report.html || fail "the audit report does not name ada"
wardround node backup /root/north.backup > /dev/null
[ "$(stat --format '%U %a' /root/north.backup)" = 'root 600' ] || fail "the backup's mode"
sudo -u ada cat /var/lib/wardround-node/policy.toml > /dev/null 2>&1 && fail "a group member reads files"

say "an approved plan makes its rounds, and no other"
useradd --create-home grace
coordinator token --role researcher --name grace | head --lines 1 > /root/token
as_grace researcher init --join - < /root/token > /dev/null
sed --in-place -e 's/^rounds = .*/rounds = 2/' -e 's/^min_nodes = .*/min_nodes = 1/' /example/experiment.toml
as_grace experiment submit /example/experiment.toml > /root/submitted
plan=$(as_grace plan digest /example/logistic.toml | grep --only-matching '[0-9a-f]\{64\}' | head --lines 1)
until_true asks_for "${plan:0:12}"
[ "$(as_ada round list)" = 'no rounds' ] || fail "a round ran before its plan was approved"
as_ada plan approve "$plan" --researcher grace --dataset ward --purpose "test" > /dev/null
until_true is_completed
as_grace experiment download --output /home/grace/model.safetensors "$(experiment)" > /dev/null
test -s /home/grace/model.safetensors
[ "$(as_ada round list)" != 'no rounds' ] || fail "the node lists no round"
as_node audit list --action round.release | grep --quiet ' ok ' || fail "the audit log has no release"

say "a crash is followed by a start"
systemctl kill --signal SIGKILL --kill-who main wardround-node
until_true is_away
until_true is_connected

say "an upgrade restarts what runs, and nothing else changes"
before=$(systemctl show --property MainPID --value wardround-node)
echo '# ours' >> /etc/wardround/node.env
dpkg --install /package-test.deb > /dev/null
grep --quiet '^# ours' /etc/wardround/node.env || fail "a changed configuration was replaced"
[ "$before" != "$(systemctl show --property MainPID --value wardround-node)" ] || fail "the node was not restarted"
until_true is_connected
[ "$(as_node dataset list | grep --count ward)" = 1 ] || fail "the dataset is gone"

say "stop"
start=$SECONDS
systemctl stop wardround-node wardround-coordinator
[ $((SECONDS - start)) -lt 15 ] || fail "stopping took $((SECONDS - start)) seconds"
for service in wardround-coordinator wardround-node; do
    [ "$(systemctl is-failed $service)" = inactive ] || fail "$service failed at its end"
done
node_state > /dev/null
as_node audit verify > /dev/null

say "remove: the program goes, the data stays"
systemctl start wardround-coordinator wardround-node
dpkg --remove wardround
is_gone /usr/bin/wardround
for service in wardround-coordinator wardround-node; do
    [ "$(systemctl is-active $service)" = inactive ] || fail "$service still runs"
    is_gone /etc/systemd/system/multi-user.target.wants/$service.service
done
dpkg --purge wardround
is_gone /etc/wardround
for file in node/node.toml node/audit/log node/node.sqlite coordinator/coordinator.toml coordinator/authority; do
    test -e /var/lib/wardround-$file || fail "/var/lib/wardround-$file is gone"
done
id wardround-node > /dev/null

echo "everything holds"
