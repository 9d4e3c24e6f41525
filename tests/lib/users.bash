# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Commands as a plain user.

# As a plain user without any capability: for commands that start others.
PLAIN=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)

# as_user COMMAND...: the same.
as_user() {
	"${PLAIN[@]}" "$@"
}

# with_cap_bpf COMMAND...: as a plain user with these capabilities.
with_cap_bpf() {
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+bpf,+net_admin,+perfmon \
		--ambient-caps=-all,+bpf,+net_admin,+perfmon "$@"
}
