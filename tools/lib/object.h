// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// BPF maps, programs and links: opened by pin or by id, and what the kernel says of them.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "fd.h"

enum class ObjectKind { Map, Prog, Link };

// The word for it in messages: "map", "program", "link".
const char *kind_name(ObjectKind kind);

// Is it an object of this kind?
bool is_kind(const Fd &fd, ObjectKind kind);

// Open the object pinned at `path`. Fails when there is none, when the path is
// not on a bpffs, and when it is an object of another kind. A map that is to be
// read only needs no more than the pin's read permission.
Fd open_pinned(ObjectKind kind, const std::string &path, bool read_only = false);

// Open an object by its system-wide id. Needs CAP_SYS_ADMIN.
Fd open_by_id(ObjectKind kind, __u32 id);

// Open the program that is pinned at the path `which`, or has that id. `name` is what
// the message about a wrong id calls it. Throws UsageError.
Fd open_prog(const std::string &which, const std::string &name);

// Open the program pinned at `path`. Fails when it is of another type.
Fd open_prog_of_type(const std::string &path, __u32 type);

// What the kernel says about an object.
struct bpf_map_info map_info(const Fd &map);
struct bpf_prog_info prog_info(const Fd &prog);
struct bpf_link_info link_info(const Fd &link);

// The ids of the maps that a program uses.
std::vector<__u32> prog_map_ids(const Fd &prog);

// The BTF id of a loaded program that uses the map: its BTF may tell what the map's own does
// not. Or 0, and errno says why: ENOENT, no such program has BTF; EPERM, this needs
// CAP_SYS_ADMIN.
__u32 btf_of_map_user(__u32 map_id);

// An object's name, which need not end in a NUL.
std::string object_name(const char (&name)[BPF_OBJ_NAME_LEN]);

// The type as bpftool names it, "sk_lookup"; the number where libbpf knows none.
std::string map_type_name(__u32 type);
std::string prog_type_name(__u32 type);

// The cookie of a socket, which is its value in a sockmap, as `ss -e` prints it: hexadecimal.
std::string cookie_text(__u64 cookie);

// Is this path on a bpffs?
bool on_bpffs(const std::string &path);

// Why bpf(2) may have failed with this errno, for somebody who may open the pin; or "".
std::string why_eperm(int err);

// Fail as bpf(2) has not replaced the program of the link, which was this one: the kernel says
// EPERM if it is another one by now.
[[noreturn]] void fail_to_replace(int err, const Fd &link, __u32 prog_id, const std::string &what);
