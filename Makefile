# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# hookset: `make help` says what there is. Everything built lands flat in build/.

VERSION   := 0.1.0

CLANG     ?= clang
CXX       ?= g++
PREFIX    ?= /usr/local
DROP_PORT ?= 8080# the TCP port that xdp_drop.o blocks

# make CLANG=bpf-gcc: GCC 14 does it too. Its -g alone is no BTF, and it looks in no /usr/include.
BPF_TARGET := $(if $(findstring gcc,$(CLANG)),-gbtf -g -idirafter /usr/include,-g -target bpf)
BPF_CFLAGS := $(BPF_TARGET) -O2 -mcpu=v3 -Wall -Wextra -Wno-unused-parameter $(WERROR) \
	      -idirafter /usr/include/$(shell uname -m)-linux-gnu
# What a user or a package builder may set: by the environment or the command line, each as a whole.
# The defaults harden as Debian does.
CXXFLAGS   ?= -O2 -g -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
	      -Wformat -Werror=format-security
LDFLAGS    ?= -s -Wl,-z,relro -Wl,-z,now
# SANITIZE=1: with ASan and UBSan, for make test. Leaks are for tests/proof/valgrind: LeakSanitizer
# does not work under strace.
ifeq ($(SANITIZE),1)
CXXFLAGS   := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
LDFLAGS    := -fsanitize=address,undefined
endif
# What the code needs beside that.
override CXXFLAGS += -std=c++20 -fPIE -Wall -Wextra $(WERROR) -ffunction-sections -fdata-sections
override CPPFLAGS += -DHOOKSET_VERSION='"$(VERSION)"'
# Half a millisecond of each start goes into loading libstdc++; what is used of it is small.
# With ASan it is shared, as ASan looks for it there.
override LDFLAGS  += -pie -Wl,--gc-sections -Wl,--as-needed $(if $(filter 1,$(SANITIZE)),,-static-libstdc++ -static-libgcc)
LDLIBS     := -lbpf -lelf -lz -ldl

OBJECTS := $(patsubst bpf/%.c,build/%.o,$(wildcard bpf/*.c)) \
	   $(patsubst bpf/%.bpf.c,build/%.frags.bpf.o,$(wildcard bpf/xdp_*.bpf.c bpf/detect_ping.bpf.c))
TOOLS   := $(patsubst tools/%.cc,build/%,$(wildcard tools/*.cc))
LIB     := $(patsubst tools/lib/%.cc,build/obj/lib/%.o,$(wildcard tools/lib/*.cc))
FIXTURES := $(patsubst tests/fixtures/%.cc,build/obj/tests/%,$(wildcard tests/fixtures/*.cc))
BENCH   := $(patsubst tests/bench/%.bpf.c,build/bench/%.bpf.o,$(wildcard tests/bench/*.bpf.c)) \
	   $(patsubst tests/bench/%.cc,build/bench/%,$(wildcard tests/bench/*.cc))
FUZZERS := $(patsubst tests/proof/fuzzers/%.cc,%,$(filter-out %/replay.cc,$(wildcard tests/proof/fuzzers/*.cc)))
MAN7    := $(wildcard tools/man/*.7)
MAN8    := $(wildcard tools/man/*.8)
UNITS   := $(wildcard tools/systemd/*.service)
DROPINS := $(wildcard tools/systemd/*.conf)
LIBEXEC := $(wildcard tools/libexec/*)
COMPLETIONS := $(PREFIX)/share/bash-completion/completions

ifeq ($(V),1)
Q   :=
msg :=
else
Q   := @
msg = @printf '  %-8s %s\n' $(1) $(2)
endif

# For those who only want to see it work; a -j of theirs stands.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.DELETE_ON_ERROR:
.SECONDARY:
PROOFS := $(patsubst tests/proof/%.bats,proof-%,$(wildcard tests/proof/*.bats))
.PHONY: all fixtures fuzzers replays bench-programs deps bench-deps demo test proof $(PROOFS) bench vmtest distrotest vagrant-test lint format install uninstall clean help FORCE

all: $(OBJECTS) $(TOOLS)

build/%.o: bpf/%.c
	$(call msg,BPF,$@)
	@mkdir -p build/obj
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF build/obj/$*.o.d -c $< -o $@

# The same program for frames of more than one buffer, such as jumbo frames in native mode.
build/%.frags.bpf.o: bpf/%.bpf.c
	$(call msg,BPF,$@)
	@mkdir -p build/obj
	$(Q)$(CLANG) $(BPF_CFLAGS) -DXDP_FRAGS -MMD -MP -MF build/obj/$*.frags.bpf.o.d -c $< -o $@

# The .text object holds nothing but its program, and the port that was asked for.
build/xdp_drop.o: BPF_CFLAGS := $(filter-out -g -gbtf,$(BPF_CFLAGS))
build/xdp_drop.o build/xdp_drop.bpf.o build/xdp_drop.frags.bpf.o: BPF_CFLAGS += -DDROP_PORT=$(DROP_PORT)
build/xdp_drop.o build/xdp_drop.bpf.o build/xdp_drop.frags.bpf.o: build/obj/drop_port
build/obj/drop_port: FORCE
	@mkdir -p build/obj
	@echo $(DROP_PORT) | cmp -s - $@ || echo $(DROP_PORT) > $@

# A build with sanitizers, and one without, share no object.
ifneq ($(shell cat build/obj/sanitize 2>/dev/null),$(SANITIZE))
build/obj/sanitize: FORCE
endif
build/obj/sanitize:
	@mkdir -p build/obj
	@echo '$(SANITIZE)' > $@

build/obj/%.o: tools/%.cc build/obj/sanitize
	$(call msg,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -MF build/obj/$*.d -c $< -o $@

build/obj/lib.a: $(LIB)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# A tool is tools/NAME.cc; what it works on, where it has outgrown one file, is in tools/NAME/.
parts = $(patsubst tools/%.cc,build/obj/%.o,$(wildcard tools/$(1)/*.cc))

.SECONDEXPANSION:
build/%: build/obj/%.o $$(call parts,$$*) build/obj/lib.a
	$(call msg,LINK,$@)
	$(Q)$(CXX) $(LDFLAGS) $^ $(LDLIBS) -o $@

# What tests try the library itself with.
fixtures: $(FIXTURES) replays
build/obj/tests/blocklist_table: build/obj/blocklist-load/table.o

build/obj/tests/%: tests/fixtures/%.cc build/obj/lib.a
	$(call msg,CXX,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -MF build/obj/tests/$*.d $(LDFLAGS) \
		$(filter-out %.h,$^) $(LDLIBS) -o $@

# The targets of tests/proof/fuzz, by libFuzzer: minutes of work. And without it, to replay what it
# has found.
FUZZ_CXX   ?= clang++
FUZZ_FLAGS := -std=c++20 -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	      -fno-sanitize-recover=all
FUZZ_LIB   := $(patsubst tools/lib/%.cc,build/fuzz/obj/lib/%.o,$(wildcard tools/lib/*.cc))
fuzzers: $(FUZZERS:%=build/fuzz/%)
replays: $(FUZZERS:%=build/fuzz/replay/%)
build/fuzz/elf: build/fuzz/obj/prog-load/elf.o
build/fuzz/replay/elf: build/obj/prog-load/elf.o

build/fuzz/obj/%.o: tools/%.cc
	$(call msg,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CXX) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

build/fuzz/obj/lib.a: $(FUZZ_LIB)
	$(call msg,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

build/fuzz/%: tests/proof/fuzzers/%.cc build/fuzz/obj/lib.a
	$(call msg,FUZZ,$@)
	@mkdir -p build/fuzz/obj
	$(Q)$(FUZZ_CXX) $(CPPFLAGS) $(FUZZ_FLAGS) -fsanitize=fuzzer -MMD -MP -MF build/fuzz/obj/$*.d \
		$(filter-out %.h,$^) $(LDLIBS) -llzma -lzstd -o $@

# Speed matters for the compiler here only.
build/fuzz/replay/%: tests/proof/fuzzers/%.cc tests/proof/fuzzers/replay.cc build/obj/lib.a \
		     $(wildcard tests/proof/fuzzers/*.h tools/lib/*.h)
	$(call msg,CXX,$@)
	@mkdir -p build/fuzz/replay
	$(Q)$(CXX) $(CPPFLAGS) -std=c++20 -O0 $(if $(filter 1,$(SANITIZE)),$(LDFLAGS)) $(filter-out %.h,$^) \
		$(LDLIBS) -llzma -lzstd -o $@

# What make bench compares with, and makes its traffic by.
bench-programs: $(BENCH)

build/bench/%.bpf.o: tests/bench/%.bpf.c
	$(call msg,BPF,$@)
	@mkdir -p build/bench build/obj/bench
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF build/obj/bench/$*.o.d -c $< -o $@

build/bench/%: tests/bench/%.cc build/obj/lib.a
	$(call msg,CXX,$@)
	@mkdir -p build/bench build/obj/bench
	$(Q)$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -MF build/obj/bench/$*.d $(LDFLAGS) \
		$(filter-out %.h,$^) $(LDLIBS) -o $@

-include $(wildcard build/obj/*.d build/obj/*/*.d build/fuzz/obj/*.d build/fuzz/obj/*/*.d)

## What needs root says so. Each of the following installs what it lacks first.
deps:
	$(Q)vagrant/provision.sh build demo test lint

demo:
	$(Q)vagrant/provision.sh build demo
	$(Q)$(MAKE) --no-print-directory $(JOBS) all
	$(Q)exec tests/walkthrough --demo vagrant/[0-9]*.md

test:
	$(Q)vagrant/provision.sh build demo test lint
	$(Q)$(MAKE) --no-print-directory $(JOBS) all fixtures
	$(Q)$(if $(filter 1,$(SANITIZE)),ASAN_OPTIONS=detect_leaks=0) tests/run $(TESTS)

# The long form of each suite in tests/proof/, one after the other; make proof-NAME for one.
proof: $(PROOFS)

$(PROOFS): proof-%:
	$(Q)vagrant/provision.sh build demo test proof
	$(Q)$(MAKE) --no-print-directory $(JOBS) all fixtures
	$(Q)exec tests/proof/$* $(ARGS)

bench-deps:
	$(Q)vagrant/provision.sh build demo bench

# It measures what there is, and says what is missing: bench-deps installs that.
bench:
	$(Q)vagrant/provision.sh build demo
	$(Q)$(MAKE) -s --no-print-directory $(JOBS) all bench-programs
	$(Q)exec tests/bench/run $(GROUP)

# The slow ones: other kernels, other releases, a real Vagrant VM.
vmtest:
	$(Q)vagrant/provision.sh vm
	$(Q)tests/vm/vmtest $(if $(FRESH),--fresh) $(KERNEL)

distrotest:
	$(Q)vagrant/provision.sh vm
	$(Q)tests/vm/distrotest

vagrant-test:
	$(Q)vagrant/provision.sh vm vagrant
	$(Q)tests/vm/vagrant-test

lint:
	$(Q)vagrant/provision.sh build lint
	$(Q)tests/lint

format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h' '*.cc')

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib/hookset
	install -d $(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/man/man8
	install $(TOOLS) $(DESTDIR)$(PREFIX)/sbin
	install -m 644 $(OBJECTS) $(DESTDIR)$(PREFIX)/lib/hookset
	$(if $(MAN7),install -m 644 $(MAN7) $(DESTDIR)$(PREFIX)/share/man/man7)
	install -m 644 $(MAN8) $(DESTDIR)$(PREFIX)/share/man/man8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in $(notdir $(UNITS)); do \
		sed 's|/usr/local/|$(PREFIX)/|g' "tools/systemd/$$unit" \
			> "$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit" || exit; \
	done
	for dropin in $(notdir $(DROPINS)); do \
		sed 's|/usr/local/|$(PREFIX)/|g' "tools/systemd/$$dropin" \
			> "$(DESTDIR)$(PREFIX)/lib/hookset/$$dropin" || exit; \
	done
	for script in $(notdir $(LIBEXEC)); do \
		sed 's|/usr/local/|$(PREFIX)/|g' "tools/libexec/$$script" \
			> "$(DESTDIR)$(PREFIX)/lib/hookset/$$script" && \
		chmod 755 "$(DESTDIR)$(PREFIX)/lib/hookset/$$script" || exit; \
	done
	install -d $(DESTDIR)$(COMPLETIONS)
	for tool in $(notdir $(TOOLS)); do \
		install -m 644 tools/completions/hookset $(DESTDIR)$(COMPLETIONS)/$$tool || exit; \
	done

uninstall:
	cd $(DESTDIR)$(PREFIX)/sbin && rm -f $(notdir $(TOOLS))
	cd $(DESTDIR)$(PREFIX)/share/man/man7 && rm -f $(notdir $(MAN7))
	cd $(DESTDIR)$(PREFIX)/share/man/man8 && rm -f $(notdir $(MAN8))
	cd $(DESTDIR)$(COMPLETIONS) && rm -f $(notdir $(TOOLS))
	cd $(DESTDIR)$(PREFIX)/lib/systemd/system && rm -f $(notdir $(UNITS))
	rm -rf $(DESTDIR)$(PREFIX)/lib/hookset

clean:
	rm -rf build

help:
	@echo 'make              build all objects and tools into build/'
	@echo 'make DROP_PORT=N  the same; xdp_drop blocks TCP port N, not 8080'
	@echo 'make CLANG=X      the same by another compiler: clang-19, or bpf-gcc from GCC 14 on'
	@echo 'make deps         install what building, demo, tests and lint need (root)'
	@echo 'make demo         play the walkthroughs of vagrant/ and show their proofs (root)'
	@echo 'make test         run the test suite; TESTS="tests/tools/NAME.bats ..." for some, SANITIZE=1'
	@echo '                  with ASan and UBSan (root)'
	@echo 'make proof        the long form of each suite in tests/proof/, hours; make proof-NAME for one,'
	@echo '                  ARGS="..." for its arguments (root)'
	@echo 'make fuzzers      build what make proof-fuzz runs, with sanitizers'
	@echo 'make bench        measure the kit beside what else there is; GROUP="drop ..." for some,'
	@echo '                  ROUNDS=N for more or fewer than 5; build/bench.json has all of it (root)'
	@echo 'make bench-deps   install what it compares with (root)'
	@echo 'make vmtest       run suite and walkthroughs on each kernel from 5.10 on, in VMs; KERNEL=6.1'
	@echo '                  for one, TESTS="..." for some suites; FRESH=1 for a fresh Debian 12 and 13'
	@echo '                  and the two commands (root)'
	@echo 'make distrotest   build, test and load on other releases and with other compilers (root)'
	@echo 'make vagrant-test vagrant up, the walkthroughs over vagrant ssh, vagrant destroy (root)'
	@echo 'make lint         check format, warnings, shell scripts and man pages'
	@echo 'make format       format the C and C++ sources in place'
	@echo 'make install      install below $$(DESTDIR)$$(PREFIX), by default /usr/local'
	@echo 'make uninstall    take it away again'
	@echo 'make clean        remove build/'
	@echo 'V=1 shows the commands.'
