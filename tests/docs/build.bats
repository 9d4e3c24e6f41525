#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The Makefile: what is built, rebuilt, installed and taken away again.

# Only make: no kernel has a say in it.
# bats file_tags=kernel-free
load ../lib/helpers

# What `make` would build if FILE had changed.
would_build() {
	make -n -C "$HOOKSET_ROOT" -W "$1" all | grep -oE 'build/[^ ]+$' | sort -u
}

@test "make: nothing is left to do after make" {
	run -0 make -C "$HOOKSET_ROOT" --no-print-directory -s all
	[ "$output" = "" ]
}

@test "make: a change of the parser rebuilds each object that includes it, and no tool" {
	run -0 would_build bpf/include/parse.h
	for object in xdp_drop.o xdp_drop.bpf.o detect_ping.bpf.o; do
		[[ $output == *build/$object* ]]
	done
	[[ $output != *xdp_pass* && $output != *build/map-pin* ]]
}

@test "make: a change of a tool's header rebuilds each tool, and no object" {
	run -0 would_build tools/lib/cli.h
	for tool in "$HOOKSET_ROOT"/tools/*.cc; do
		[[ $output == *build/$(basename "$tool" .cc)* ]]
	done
	# xdp_drop's are always looked at: DROP_PORT may have changed.
	[[ $output != *detect_ping* && $output != *_dispatch* ]]
}

@test "make: all that is built lies flat in build/" {
	local source
	for source in "$HOOKSET_ROOT"/bpf/*.c; do
		[ -f "$HOOKSET_BUILD/$(basename "$source" .c).o" ]
	done
	for source in "$HOOKSET_ROOT"/tools/*.cc; do
		[ -x "$HOOKSET_BUILD/$(basename "$source" .cc)" ]
	done
}

@test "make V=1 shows the commands, make alone a line each" {
	local dir=$BATS_TEST_TMPDIR/tree
	mkdir "$dir"
	cp -r "$HOOKSET_ROOT"/Makefile "$HOOKSET_ROOT"/bpf "$HOOKSET_ROOT"/tools "$dir"
	run -0 make -C "$dir" --no-print-directory build/xdp_pass.bpf.o
	[ "$output" = "  BPF      build/xdp_pass.bpf.o" ]
	rm "$dir/build/xdp_pass.bpf.o"
	run -0 make -C "$dir" --no-print-directory V=1 build/xdp_pass.bpf.o
	[[ $output == *"-target bpf"*"-c bpf/xdp_pass.bpf.c"* ]]
}

@test "make: a user's flags are used as well as those that the code needs; hardened by default" {
	local dir=$BATS_TEST_TMPDIR/tree header
	mkdir "$dir"
	cp -r "$HOOKSET_ROOT"/Makefile "$HOOKSET_ROOT"/tools "$HOOKSET_ROOT/bpf" "$dir"
	set -- -C "$dir" --no-print-directory CXXFLAGS=-O1 CPPFLAGS=-DX LDFLAGS=-Wl,--build-id=none
	run -0 make -n "$@" build/sk-lookup-attach
	[[ $output == *" -O1 "*"-std=c++20"* && $output == *"-DX "*HOOKSET_VERSION* ]]
	[[ $output == *--build-id=none*--gc-sections* ]]
	# What it would do can be done: one source is enough.
	run -0 make "$@" build/obj/lib/lpm.o

	header=$(readelf -W -h -l -d --dyn-syms "$HOOKSET_BUILD/map-edit")
	[[ $header == *"(Position-Independent Executable file)"* || $header == *"Type: "*DYN* ]]
	[[ $header == *GNU_RELRO* && $header == *BIND_NOW* ]]
	[[ $header == *__stack_chk_fail* && $header == *_chk@* ]]
}

@test "make install, make uninstall: DESTDIR and PREFIX, and nothing is left" {
	local dest=$BATS_TEST_TMPDIR/dest file
	run -0 make -C "$HOOKSET_ROOT" install DESTDIR="$dest" PREFIX=/opt/hookset
	for file in "$HOOKSET_ROOT"/tools/*.cc; do
		file=$(basename "$file" .cc)
		run -0 "$dest/opt/hookset/sbin/$file" --version
		[ -f "$dest/opt/hookset/share/man/man8/$file.8" ]
	done
	for file in "$HOOKSET_ROOT"/tools/man/*.7; do
		cmp "$file" "$dest/opt/hookset/share/man/man7/$(basename "$file")"
	done
	for file in "$HOOKSET_ROOT"/bpf/*.c; do
		cmp "$HOOKSET_BUILD/$(basename "$file" .c).o" \
			"$dest/opt/hookset/lib/hookset/$(basename "$file" .c).o"
	done
	for file in "$HOOKSET_ROOT"/tools/systemd/*.service; do
		diff "$dest/opt/hookset/lib/systemd/system/$(basename "$file")" <(sed 's|/usr/local/|/opt/hookset/|g' "$file")
		# What it runs is installed.
		grep -oP '^Exec\w+=-?\K\S+' "$dest/opt/hookset/lib/systemd/system/$(basename "$file")" |
			while read -r program; do
				[ -x "$dest$program" ]
			done
	done
	for file in "$HOOKSET_ROOT"/tools/libexec/*; do
		diff "$dest/opt/hookset/lib/hookset/$(basename "$file")" <(sed 's|/usr/local/|/opt/hookset/|g' "$file")
	done
	for file in hookset-firewall hookset-dispatch; do
		[ -f "$dest/$(grep -oP 'OBJ:-\K[^}]+' "$dest/opt/hookset/lib/hookset/$file")" ]
	done
	diff "$dest/opt/hookset/lib/hookset/dispatch-server.conf" \
		<(sed 's|/usr/local/|/opt/hookset/|g' "$HOOKSET_ROOT/tools/systemd/dispatch-server.conf")
	[ -x "$dest$(grep -oP '^ExecStartPost=\+\K\S+' "$dest/opt/hookset/lib/hookset/dispatch-server.conf")" ]
	[ -z "$(find "$dest" -type f -not -path '*/opt/hookset/*')" ]

	run -0 make -C "$HOOKSET_ROOT" uninstall DESTDIR="$dest" PREFIX=/opt/hookset
	[ -z "$(find "$dest" -type f)" ]
}

@test "compile_flags.txt: clangd reads the sources as make does" {
	cd "$HOOKSET_ROOT"
	# shellcheck disable=SC2046 # a flag a line
	clang $(cat compile_flags.txt) -Werror -fsyntax-only tools/sk-lookup-attach.cc
	# shellcheck disable=SC2046
	clang $(cat bpf/compile_flags.txt) -Werror -fsyntax-only bpf/*.c
}

@test "make help names each target, and each target that it names is there" {
	run -0 make -C "$HOOKSET_ROOT" --no-print-directory help
	for target in deps demo test lint format install uninstall clean; do
		[[ $output == *"make $target "* ]]
		make -n -C "$HOOKSET_ROOT" "$target" >/dev/null
	done
}

@test "make deps does nothing, without root as well, where all is there" {
	run -0 "$HOOKSET_ROOT/vagrant/provision.sh" build demo test
	[ "$output" = "" ]
	cp "$HOOKSET_ROOT/vagrant/provision.sh" "$BATS_TEST_TMPDIR"
	run -0 as_user "$BATS_TEST_TMPDIR/provision.sh" build demo test
	[ "$output" = "" ]
}

@test "make lint passes" {
	requires cmd:clang-tidy cmd:clang-format cmd:shellcheck
	run -0 "$HOOKSET_ROOT/tests/lint"
}
