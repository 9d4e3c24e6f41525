#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# sk_dispatch on real sockets: which service answers, and what a client hears where none does.
# Answers are those of tests/fixtures/sockets: "NAME hello|PORT", or "refused".

load ../lib/helpers
ns='' near='' # by netns()
UNIT=$BATS_TEST_DIRNAME/../../tools/systemd/hookset-dispatch@.service
LIBEXEC=$(cd "$BATS_TEST_DIRNAME/../../tools/libexec" && pwd)

# dispatch NETNS [PROG_LOAD_OPTION...]: sk_dispatch is attached there. Its maps are in $MAPS.
dispatch() {
	MAPS=$BPFFS/maps
	prog-load --maps "$MAPS" "${@:2}" "$HOOKSET_BUILD/sk_dispatch.bpf.o" "$BPFFS/prog"
	sk-lookup-attach --netns "$1" "$BPFFS/prog" "$BPFFS/link"
}

# binding VERB BINDING...: in the map for its address family.
binding() {
	local verb=$1 one family
	shift
	for one in "$@"; do
		family=4
		[[ $one != *addr=*:* ]] || family=6
		map-edit "$MAPS/dispatch$family" "$verb" "$one"
	done
}

# service N NAME SPEC...: a server has these sockets, and they are those of service N.
service() {
	local number=$1 spec fd=3
	shift
	serve "$ns" "$@"
	for spec in "${@:2}"; do
		sockmap-update --netns "$ns" --service "$number" "$PID" "$fd" "$MAPS/dispatch_socket"
		((++fd))
	done
}

# stats_are N COUNTER=N...
stats_are() {
	run -0 map-edit "$MAPS/dispatch_stats" get "$1"
	[ "$output" = "{${*:2}}" ]
}

# A host, ns, that has all addresses of a few networks, and a client of it. A client of the same host
# would get its answers by an unconnected UDP socket, and those are looked up, too.
many_addresses() {
	two_hosts near ns
	ip -n "$ns" route add local 192.0.2.0/24 dev lo
	ip -n "$ns" route add local 198.51.100.0/24 dev lo
	ip -n "$ns" -6 route add local 2001:db8::/32 dev lo
	ip -n "$near" route add 192.0.2.0/24 via 10.9.0.2
	ip -n "$near" route add 198.51.100.0/24 via 10.9.0.2
	ip -n "$near" -6 route add 2001:db8::/32 via fd09::2
}

@test "the longest prefix wins, then the port, then the protocol" {
	many_addresses
	dispatch "$ns"
	# The first six are those of the suite of tubular, which this program's rule is from.
	service 1 spectrum tcp:127.0.0.1:8001 udp:0.0.0.0:8001
	service 2 nginx tcp:127.0.0.1:8002 udp:0.0.0.0:8002
	service 3 new tcp:127.0.0.1:8003
	service 4 dns tcp:127.0.0.1:8004 udp:0.0.0.0:8004
	binding add '{proto=tcp addr=192.0.2.0/24}={service=1}' \
		'{proto=tcp port=443 addr=192.0.2.0/24}={service=2}' \
		'{proto=tcp addr=192.0.2.4}={service=1}' \
		'{proto=tcp port=80 addr=192.0.2.4}={service=2}' \
		'{proto=tcp port=443 addr=198.51.100.0/24}={service=2}' \
		'{proto=tcp port=443 addr=198.51.100.0/25}={service=3}' \
		'{port=53}={service=4}' \
		'{proto=udp addr=198.51.100.0/24}={service=1}' \
		'{port=53 addr=198.51.100.0/24}={service=4}' \
		'{proto=udp port=53 addr=198.51.100.0/24}={service=2}'

	answers "spectrum hello|80" "$near" tcp 192.0.2.1 80
	answers "spectrum hello|81" "$near" tcp 192.0.2.1 81
	answers "nginx hello|443" "$near" tcp 192.0.2.1 443
	answers "spectrum hello|443" "$near" tcp 192.0.2.4 443
	answers "nginx hello|80" "$near" tcp 192.0.2.4 80
	answers "new hello|443" "$near" tcp 198.51.100.1 443
	answers "nginx hello|443" "$near" tcp 198.51.100.128 443
	# A longer prefix wins over the port, whatever the protocol.
	answers "spectrum hello|53" "$near" tcp 192.0.2.1 53
	answers "dns hello|8004" "$near" udp 192.0.2.1 53
	answers "dns hello|53" "$ns" tcp 127.0.0.1 53
	# Of the same prefix: the port before the protocol, and both before the port.
	answers "spectrum hello|8001" "$near" udp 198.51.100.1 443
	answers "dns hello|53" "$near" tcp 198.51.100.1 53
	answers "nginx hello|8002" "$near" udp 198.51.100.1 53
	binding del '{proto=udp port=53 addr=198.51.100.0/24}'
	answers "dns hello|8004" "$near" udp 198.51.100.1 53
	answers refused "$near" tcp 198.51.100.1 80
	answers refused "$near" udp 192.0.2.1 80
}

@test "random bindings and lookups: the service is the model's" {
	requires run-sk-lookup
	local rounds=$((10 / ${HOOKSET_PATIENCE:-1}))
	prog-load --maps "$BPFFS/maps" "$HOOKSET_BUILD/sk_dispatch.bpf.o" "$BPFFS/prog"
	run -0 "$BATS_TEST_DIRNAME/dispatch.py" "$BPFFS/maps" "$BPFFS/prog" "$rounds" 500
	echo "$output"
	[[ ${lines[-1]} == "$((500 * rounds)) lookups, "*": no difference" ]]
}

@test "bindings are replaced under lookups: none finds a service of neither" {
	requires run-sk-lookup
	local rounds=$((10 / ${HOOKSET_PATIENCE:-1}))
	prog-load --maps "$BPFFS/maps" "$HOOKSET_BUILD/sk_dispatch.bpf.o" "$BPFFS/prog"
	run -0 "$BATS_TEST_DIRNAME/dispatch.py" "$BPFFS/maps" "$BPFFS/prog" "$rounds" sync
	echo "$output"
	[ "${lines[-1]}" = "$rounds times replaced: no third service" ]
}

@test "a binding alone refuses, whoever listens; without it, the listener is back" {
	local proto addr spec
	many_addresses
	dispatch "$ns"
	serve "$ns" real tcp:127.0.0.1:8080 udp:127.0.0.1:8080 "tcp:[::1]:8080" "udp:[::1]:8080"
	for proto in tcp udp; do
		for addr in 127.0.0.1/8 ::1; do
			spec="{proto=$proto port=8080 addr=${addr/.1/.0}}"
			[ "$addr" = ::1 ] || spec="{proto=$proto port=8080 addr=127.0.0.0/8}"
			answers "real hello|8080" "$ns" "$proto" "${addr%/8}" 8080
			binding add "$spec={service=5}"
			answers refused "$ns" "$proto" "${addr%/8}" 8080
			binding del "$spec"
			answers "real hello|8080" "$ns" "$proto" "${addr%/8}" 8080
		done
	done
	stats_are 5 dispatched=0 no_socket=4 refused=0
}

@test "a service has sockets of TCP and UDP, IPv4 and IPv6, at once" {
	many_addresses
	dispatch "$ns"
	binding add '{addr=192.0.2.0/24}={service=4095}' '{addr=2001:db8::/32}={service=4095}'
	service 4095 all tcp:127.0.0.1:7777 "tcp:[::1]:7777" udp:0.0.0.0:7777 "udp:[::]:7777,v6only"

	answers "all hello|1" "$near" tcp 192.0.2.200 1
	answers "all hello|65535" "$near" tcp 2001:db8::7 65535
	answers "all hello|7777" "$near" udp 192.0.2.200 53
	answers "all hello|7777" "$near" udp 2001:db8:ffff::7 53
	stats_are 4095 dispatched=4 no_socket=0 refused=0
	# Its sockets are in the last slots, each of its own.
	[ "$(bpftool -j map dump pinned "$MAPS/dispatch_socket" | jq '[.[-4:][].value | arrays] | unique | length')" = 4 ]
	sockmap-update --delete --service 4095 "$MAPS/dispatch_socket"
	answers refused "$near" tcp 192.0.2.200 1
	answers refused "$near" udp 2001:db8:ffff::7 53
	fails 1 "sockmap-update: delete the sockets of service '4095': it has none" \
		sockmap-update --delete --service 4095 "$MAPS/dispatch_socket"
}

@test "a dual-stack socket serves both families, one that is IPv6 only does not" {
	many_addresses
	dispatch "$ns"
	binding add '{port=443}={service=1}' '{port=443 addr=::/0}={service=1}'
	service 1 both "tcp:[::]:7777" "udp:[::]:7777"
	answers "both hello|443" "$near" tcp 192.0.2.1 443
	answers "both hello|443" "$near" tcp 2001:db8::1 443
	answers "both hello|7777" "$near" udp 192.0.2.1 443
	# One of its own comes first.
	service 1 four tcp:127.0.0.1:7778
	answers "four hello|443" "$near" tcp 192.0.2.1 443
	answers "both hello|443" "$near" tcp 2001:db8::1 443

	sockmap-update --delete --service 1 "$MAPS/dispatch_socket"
	service 1 six "tcp:[::]:7779,v6only"
	answers "six hello|443" "$near" tcp 2001:db8::1 443
	answers refused "$near" tcp 192.0.2.1 443
	stats_are 1 dispatched=6 no_socket=0 refused=1
}

@test "dispatch_fall_through: without a socket, the listener gets it" {
	many_addresses
	dispatch "$ns" --set dispatch_fall_through=true
	serve "$ns" real tcp:0.0.0.0:443
	binding add '{port=443}={service=1}' '{proto=tcp port=80}={service=1}'
	answers "real hello|443" "$near" tcp 192.0.2.1 443
	answers refused "$near" tcp 192.0.2.1 80
	service 1 four tcp:127.0.0.1:7777
	answers "four hello|443" "$near" tcp 192.0.2.1 443
	stop "$PID"
	answers "real hello|443" "$near" tcp 192.0.2.1 443
	service 1 six "tcp:[::]:7779,v6only"
	answers "real hello|443" "$near" tcp 192.0.2.1 443
	stats_are 1 dispatched=1 no_socket=3 refused=1
}

# answerers N ADDR: which servers answer N connections.
answerers() {
	in_ns "$near" "$HOOKSET_ROOT/tests/fixtures/sockets" answerers "$1" "$2" 443
}

@test "a SO_REUSEPORT group shares the connections, or by dispatch_no_reuseport one has all" {
	many_addresses
	dispatch "$ns"
	binding add '{port=443}={service=1}'
	serve "$ns" one tcp:127.0.0.1:7777,reuseport
	service 1 two tcp:127.0.0.1:7777,reuseport
	# Half a chance each: that 60 connections all go to one is 1 in 10^18.
	[ "$(answerers 60 192.0.2.1)" = $'one hello|443\ntwo hello|443' ]

	sockmap-update --delete --service 1 "$MAPS/dispatch_socket"
	rm -r "$BPFFS/link" "$BPFFS/prog" "$MAPS"
	dispatch "$ns" --set dispatch_no_reuseport=true
	binding add '{port=443}={service=1}'
	sockmap-update --netns "$ns" --service 1 "$PID" 3 "$MAPS/dispatch_socket"
	[ "$(answerers 60 192.0.2.1)" = "two hello|443" ]
}

@test "dispatch_host4, dispatch_host6: found first, before a binding with the same prefix" {
	many_addresses
	dispatch "$ns"
	service 1 one tcp:127.0.0.1:7001 "tcp:[::1]:7001"
	service 2 two tcp:127.0.0.1:7002 "tcp:[::1]:7002"
	map-edit "$MAPS/dispatch_host4" add '{proto=tcp port=443 addr=192.0.2.1}={service=1}'
	answers "one hello|443" "$near" tcp 192.0.2.1 443
	answers refused "$near" tcp 192.0.2.1 444
	answers refused "$near" tcp 192.0.2.2 443
	binding add '{proto=tcp port=443 addr=192.0.2.1}={service=2}' '{addr=192.0.2.0/24}={service=2}'
	answers "one hello|443" "$near" tcp 192.0.2.1 443
	answers "two hello|444" "$near" tcp 192.0.2.1 444
	map-edit "$MAPS/dispatch_host6" add '{proto=tcp port=443 addr=2001:db8::1}={service=1}'
	answers "one hello|443" "$near" tcp 2001:db8::1 443
	answers refused "$near" tcp 2001:db8::2 443
}

@test "a service by its name, and the slot that sockmap-update finds" {
	many_addresses
	dispatch "$ns"
	map-edit "$MAPS/dispatch_name" add 7=web 8=shell 9=shell
	binding add '{port=443}={service=7}'
	service web web tcp:127.0.0.1:7777
	answers "web hello|443" "$near" tcp 192.0.2.1 443
	run -0 map-edit "$MAPS/dispatch_name" show
	[ "$(sort <<<"$output")" = $'7="web"\n8="shell"\n9="shell"' ]

	# Nothing is for service 8, by any of the maps.
	map-edit "$MAPS/dispatch_name" add 8=mail
	fails 0 "sockmap-update: warning: no binding is for service 8 yet" \
		sockmap-update --netns "$ns" --service mail "$PID" 3 "$MAPS/dispatch_socket"
	map-edit "$MAPS/dispatch_host6" add '{proto=tcp port=80 addr=2001:db8::1}={service=8}'
	fails 0 "" sockmap-update --netns "$ns" --service mail "$PID" 3 "$MAPS/dispatch_socket"
	map-edit "$MAPS/dispatch_name" add 8=shell

	no() { fails "$1" "sockmap-update: $2" sockmap-update --netns "$ns" --service "$3" "$PID" 3 "${4:-$MAPS/dispatch_socket}"; }
	no 1 "find service 'mail': no service has this name in '$MAPS/dispatch_name'" mail
	no 1 "find service 'shell': services 8 and 9 have this name" shell
	no 2 $'--service \'0\' is not between 1 and 4095\nTry \'sockmap-update --help\'' 0
	no 2 $'--service \'4096\' is not between 1 and 4095\nTry \'sockmap-update --help\'' 4096
	no 1 "open map '$MAPS/dispatch_name': its type is hash, not sockmap, sockhash or reuseport_sockarray" web "$MAPS/dispatch_name"
	bpftool map create "$BPFFS/other" type sockmap key 4 value 8 entries 4 name other
	no 1 "open map '$BPFFS/other': it is not the map dispatch_socket of sk_dispatch" 1 "$BPFFS/other"
	rm "$MAPS/dispatch_name"
	no 1 "open map '$MAPS/dispatch_name': No such file or directory" web
}

@test "dispatch_owned: a plain user owns one service, and no other" {
	requires root unprivileged-map-access
	local mine denied user_server
	many_addresses
	dispatch "$ns"
	binding add '{port=443}={service=1}' '{port=80}={service=2}'
	service 2 root tcp:127.0.0.1:8002
	mine=$BPFFS/mine
	bpftool map create "$mine" type sockmap key 4 value 8 entries 4 name web
	bpftool map update pinned "$MAPS/dispatch_owned" key 1 0 0 0 value pinned "$mine"
	chown 65534:65534 "$mine"
	[ "$(stat -c %a "$mine")" = 600 ]
	start_in "$ns" "${PLAIN[@]}" "$HOOKSET_ROOT/tests/fixtures/sockets" serve user \
		tcp:127.0.0.1:8001 "udp:[::]:8001"
	user_server=$PID
	poll 5 grep -qx ready "$OUT"

	answers refused "$near" tcp 192.0.2.1 443
	in_ns "$ns" "${PLAIN[@]}" sockmap-update "$user_server" 3 "$mine" 0
	in_ns "$ns" "${PLAIN[@]}" sockmap-update "$user_server" 4 "$mine" 3
	answers "user hello|443" "$near" tcp 192.0.2.1 443
	answers "user hello|8001" "$near" udp 192.0.2.1 443
	answers "root hello|80" "$near" tcp 192.0.2.1 80
	stats_are 1 dispatched=2 no_socket=1 refused=0

	# Not another's service, not the bindings, not the program, not the link.
	for denied in "sockmap-update --service 2 $user_server 3 $MAPS/dispatch_socket" \
		"sockmap-update --service 2 --delete $MAPS/dispatch_socket" \
		"map-edit $MAPS/dispatch4 add {port=80}={service=1}" \
		"map-edit $MAPS/dispatch_host4 sync /dev/null" \
		"bpftool map update pinned $MAPS/dispatch_owned key 2 0 0 0 value pinned $mine" \
		"sk-lookup-attach $BPFFS/prog $BPFFS/mine_link" "rm $BPFFS/link" "rm $MAPS/dispatch4"; do
		# shellcheck disable=SC2086 # a command
		run in_ns "$ns" "${PLAIN[@]}" $denied
		[[ $status -ne 0 && $output == *[Pp]"ermi"* ]] || {
			echo "$denied: $status, $output" >&2
			return 1
		}
	done
	answers "root hello|80" "$near" tcp 192.0.2.1 80
	# A socket of root's comes first, and what root takes away is away.
	service 1 first tcp:127.0.0.1:8003
	answers "first hello|443" "$near" tcp 192.0.2.1 443
	sockmap-update --delete --service 1 "$MAPS/dispatch_socket"
	answers "user hello|443" "$near" tcp 192.0.2.1 443
	bpftool map delete pinned "$MAPS/dispatch_owned" key 1 0 0 0
	answers refused "$near" tcp 192.0.2.1 443
}

@test "map-edit refuses a binding that matches nothing, and a service that is none" {
	local nothing="it would have no effect"
	netns ns
	dispatch "$ns"
	no() {
		fails 2 "map-edit: KEY[=VALUE] '$3': $2"$'\n'"Try 'map-edit --help'" map-edit "$MAPS/$1" add "$3"
	}
	no dispatch4 "$nothing: services have the numbers from 1 to 4095" '{port=80}={service=4096}'
	no dispatch4 "$nothing: services have the numbers from 1 to 4095" '{port=80}'
	no dispatch4 "$nothing: sk_lookup programs see TCP and UDP only" '{proto=132}={service=1}'
	no dispatch6 "$nothing: sk_lookup programs see TCP and UDP only" '{proto=132}={service=1}'
	no dispatch6 "$nothing: this map is for IPv6: IPv4 addresses belong in the map whose name ends in 4" \
		'{addr=::ffff:10.0.0.0/104}={service=1}'
	no dispatch_host6 "$nothing: this map is for IPv6: IPv4 addresses belong in the map whose name ends in 4" \
		'{proto=tcp port=80 addr=::ffff:10.0.0.1}={service=1}'
	no dispatch_host4 "$nothing: a binding without a port or a protocol belongs in dispatch4 or dispatch6" \
		'{proto=any port=80 addr=10.0.0.1}={service=1}'
	no dispatch_host4 "$nothing: a binding without a port or a protocol belongs in dispatch4 or dispatch6" \
		'{proto=tcp port=0 addr=10.0.0.1}={service=1}'
	no dispatch_name "$nothing: services have the numbers from 1 to 4095" '0=web'
	no dispatch_name "$nothing: sockmap-update takes digits for the number of a service" '7=80'
	no dispatch_name "$nothing: the name is empty" '7=""'
}

# unit_does KEY: run this command of the systemd unit for $ns, with the script of this tree.
unit_does() {
	local verb
	verb=$(sed -nE "s,^$1=-?/usr/local/lib/hookset/hookset-dispatch (\\w+) %I$,\\1,p" "$UNIT")
	env OBJ="$HOOKSET_BUILD/sk_dispatch.bpf.o" PINS="$MAPS" FILES="$BATS_TEST_TMPDIR/files" \
		"$LIBEXEC/hookset-dispatch" "$verb" "$ns"
}

# bats test_tags=kernel-free
@test "the systemd unit: the files are the truth at start and reload, and the sockets stay" {
	requires root cmd:systemd-analyze
	local files=$BATS_TEST_TMPDIR/files program
	many_addresses
	MAPS=$BPFFS/unit
	mkdir "$files"
	echo '1=web' >"$files/dispatch_name"
	printf '# HTTPS\n{proto=tcp port=443 addr=192.0.2.0/24}={service=1}\n' >"$files/dispatch4"
	cp -r "$files" "$BATS_TEST_TMPDIR/before"
	unit_does ExecStart
	service web one tcp:127.0.0.1:7001
	answers "one hello|443" "$near" tcp 192.0.2.1 443
	answers refused "$near" tcp 192.0.2.1 80

	echo '{proto=tcp port=80 addr=192.0.2.1}={service=1}' >"$files/dispatch_host4"
	program=$(bpftool -j prog show pinned "$MAPS/prog" | jq .id)
	unit_does ExecReload
	answers "one hello|443" "$near" tcp 192.0.2.1 443
	answers "one hello|80" "$near" tcp 192.0.2.1 80
	[ "$(bpftool -j prog show pinned "$MAPS/prog" | jq .id)" -gt "$program" ]
	# With a bad line in one file, none is read.
	rm "$files/dispatch_host4"
	echo nonsense >>"$files/dispatch4"
	run -1 --separate-stderr unit_does ExecReload
	# shellcheck disable=SC2154 # run sets it
	[[ -z $output && $stderr == *"files/dispatch4:3: 'nonsense' is not a struct"* ]]
	answers "one hello|443" "$near" tcp 192.0.2.1 443
	answers "one hello|80" "$near" tcp 192.0.2.1 80
	# Without its file, a map is empty.
	sed -i '/nonsense/d' "$files/dispatch4"
	unit_does ExecReload
	answers refused "$near" tcp 192.0.2.1 80

	unit_does ExecStopPost
	[ ! -e "$MAPS" ]
	answers refused "$near" tcp 192.0.2.1 443
	diff -r "$files" "$BATS_TEST_TMPDIR/before"

	# A bad line is named, and nothing is attached; without any file as well.
	echo nonsense >>"$files/dispatch4"
	run -1 --separate-stderr unit_does ExecStart
	[[ $stderr == *"files/dispatch4:3: 'nonsense' is not a struct"* ]]
	[ ! -e "$MAPS/link" ]
	unit_does ExecStopPost
	rm "$files"/*
	run -1 --separate-stderr unit_does ExecStart
	[ "$stderr" = "hookset-dispatch: no file of bindings in '$files'" ]
	[ ! -e "$MAPS/link" ]
	unit_does ExecStopPost

	sed "s|/usr/local/lib/hookset/|$LIBEXEC/|" "$UNIT" >"$BATS_TEST_TMPDIR/hookset-dispatch@host.service"
	printf '[Service]\nType=notify\nExecStart=/bin/true\n' >"$BATS_TEST_TMPDIR/web.service"
	mkdir "$BATS_TEST_TMPDIR/web.service.d"
	sed "s|/usr/local/sbin/|$HOOKSET_BUILD/|" "${UNIT%/*}/dispatch-server.conf" >"$BATS_TEST_TMPDIR/web.service.d/dispatch.conf"
	run -0 systemd-analyze verify --man=no "$BATS_TEST_TMPDIR"/{hookset-dispatch@host,web}.service
	[ "$output" = "" ]
}

@test "hookset-dispatch: wrong usage changes nothing and exits 2" {
	local arguments
	for arguments in "" load "load a b" "save host"; do
		# shellcheck disable=SC2086 # several words
		run -2 "$LIBEXEC/hookset-dispatch" $arguments
		[ "$output" = "Usage: hookset-dispatch load|reload|stop NETNS" ]
	done
}

# under_load CHANGE ROLL_BACK: both are made in turn, five times at least, while another host makes
# 10,000 connections (a slow machine: 2,000), or that again; none is lost or refused.
under_load() {
	local changes=0 count=$((10000 / ${HOOKSET_PATIENCE:-1}))
	until ((changes >= 5)); do
		start_in "$near" "$HOOKSET_ROOT/tests/fixtures/sockets" many $count 10.9.0.2 {1..9}
		poll 5 grep -qx ready "$OUT"
		change_during "$PID" "$OUT" "$@"
	done
}

change_during() {
	while kill -0 "$1" 2>/dev/null; do
		"$3"
		"$4"
		((++changes))
	done
	cat "$2"
	[ "$(tail -n 1 "$2")" = "$count ok" ]
}

# A host with sk_dispatch, whose address is service 1; services 1 and 2 have a server.
two_services() {
	two_hosts near ns
	dispatch "$ns"
	binding add '{proto=tcp addr=10.9.0.0/24}={service=1}'
	service 2 two tcp:10.9.0.2:7772
	service 1 one tcp:10.9.0.2:7771
	server=$PID
}

@test "under load: a new server process takes the slot, and the old one takes it back" {
	local server port=8000
	two_services
	new_server() { service 1 new "tcp:10.9.0.2:$((++port))"; }
	old_server() { sockmap-update --netns "$ns" --service 1 "$server" 3 "$MAPS/dispatch_socket"; }
	under_load new_server old_server
}

@test "under load: a binding is changed, another comes and goes" {
	local server
	two_services
	new_binding() {
		binding add '{proto=tcp addr=10.9.0.0/24}={service=2}'
		binding add '{proto=tcp addr=10.9.0.2}={service=1}'
	}
	old_binding() {
		binding del '{proto=tcp addr=10.9.0.2}'
		binding add '{proto=tcp addr=10.9.0.0/24}={service=1}'
	}
	under_load new_binding old_binding
	stats_are 1 "dispatched=$(dispatched_to 1)" no_socket=0 refused=0
	(($(dispatched_to 1) > 0 && $(dispatched_to 2) > 0))
}

dispatched_to() {
	map-edit --json "$MAPS/dispatch_stats" get "$1" | jq .value.dispatched
}

@test "under load: a new version of the program, and back to the old one" {
	local server
	two_services
	cp "$HOOKSET_BUILD/sk_dispatch.bpf.o" "$BATS_TEST_TMPDIR/new.bpf.o"
	new_program() {
		prog-load --replace --maps "$MAPS" "$BATS_TEST_TMPDIR/new.bpf.o" "$BPFFS/new"
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/new" "$BPFFS/link"
	}
	old_program() { sk-lookup-attach --replace --netns "$ns" "$BPFFS/prog" "$BPFFS/link"; }
	new_program
	old_program
	under_load new_program old_program
}
