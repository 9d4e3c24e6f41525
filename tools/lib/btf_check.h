// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// BTF of a file may be damaged. libbpf checks it since 1.4; before, to follow what is wrong in it
// is a crash or a loop without end, in libbpf as well.
#pragma once

#include <bpf/btf.h>

#include <string>

// Are all names in its strings, and all types that its types refer to among them? And does none
// contain itself?
bool is_sound(const struct btf *btf);

// Has the file, if it is an ELF file, a section .BTF that is said to be without bytes, as .bss is?
// libbpf, 1.1 at least, reads them all the same.
bool has_empty_btf(const std::string &path);
