# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Units of systemd, as a helper sees them: control groups with processes.

# control_groups: print where a hierarchy that holds systemd's units is mounted.
control_groups() {
	local root
	for root in /sys/fs/cgroup{,/unified,/systemd}; do
		[ ! -e "$root/cgroup.procs" ] || { echo "$root" && break; }
	done
}

# unit PID GROUP: the process is in this control group of the suite's slice; it is made.
unit() {
	local group
	group=$(control_groups)/hookset-$HOOKSET_SUITE.slice/$2
	mkdir -p "$group"
	echo "$1" >"$group/cgroup.procs"
}

# remove_units: when their processes have ended.
remove_units() {
	local slice
	slice=$(control_groups)/hookset-$HOOKSET_SUITE.slice
	[ ! -d "$slice" ] || find "$slice" -depth -type d -exec rmdir {} +
}
